from __future__ import annotations

from load_tests.target import PATIENT_S, patient, serve_file
from serve_app.config import IngressBatching, validate


def test_a_patient_service_differs_only_in_whom_it_turns_away() -> None:
    content = serve_file("local")
    changed = patient(content)
    assert content == serve_file("local")
    ingress, usual = (
        next(one for one in file["applications"][0]["deployments"] if one["name"] == "Ingress")
        for file in (changed, content)
    )
    batching = validate(IngressBatching, ingress["user_config"], "user_config")
    assert batching.admission.max_wait_s == PATIENT_S
    waits = {"max_wait_s": PATIENT_S, "overload_wait_s": PATIENT_S}
    assert ingress["user_config"]["admission"] == usual["user_config"]["admission"] | waits
    ingress["user_config"]["admission"] = usual["user_config"]["admission"]
    assert changed == content
