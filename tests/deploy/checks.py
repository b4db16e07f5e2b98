"""Everything that is checked of a set of manifests, as one list of complaints."""

from __future__ import annotations

from tests.deploy import pod_rules, ray_rules, reference_rules
from tests.deploy.overlays import Document
from tests.deploy.pods import all_pods
from tests.deploy.schemas import Schemas


def complaints(name: str, documents: list[Document], schemas: Schemas) -> list[str]:
    """``name``: of the overlay, or ``job``. What a schema refuses is not looked at further: the
    rules take well-formed objects."""
    refused = [
        f"{one['kind']}/{one['metadata']['name']}: {problem}"
        for one in documents
        for problem in schemas.complaints(one)
    ]
    if refused:
        return refused
    return [
        *pod_rules.complaints(all_pods(documents)),
        *reference_rules.complaints(name, documents),
        *ray_rules.complaints(documents),
    ]
