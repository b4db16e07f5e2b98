from __future__ import annotations

import json

from load_tests.stand_in.content import extractors, logical_gpus, with_stand_in
from load_tests.target import serve_file


def test_any_serve_file_runs_with_the_stand_in_on_logical_gpus() -> None:
    content = serve_file("local")
    changed = extractors(with_stand_in(content, first_ms=50), 4, max_cost=16)
    (application,) = changed["applications"]
    assert application["import_path"] == "load_tests.stand_in.app:build_app"
    assert application["args"]["stand_in"] == {"first_ms": 50}
    assert application["args"]["pipeline"] == "face_recognition"
    stages = {one["name"]: one for one in application["deployments"]}
    assert stages["Extractor"]["num_replicas"] == 4
    assert stages["Extractor"]["ray_actor_options"]["num_gpus"] == 1
    assert stages["Ingress"]["user_config"]["extractor"]["max_cost"] == 16
    assert content == serve_file("local")
    assert json.loads(logical_gpus(4)["RAY_OVERRIDE_RESOURCES"]) == {"GPU": 4}
