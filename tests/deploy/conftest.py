"""KubeRay's CRDs, read once: they lie beside the project, in ../shared."""

from __future__ import annotations

import pytest

from tests.deploy.overlays import ROOT
from tests.deploy.schemas import Schemas

CRDS = ROOT.parent / "shared" / "kuberay"


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    if not CRDS.is_dir():
        pytest.skip("KubeRay's CRDs are in ../shared/kuberay, which is not here")
    return Schemas(CRDS)
