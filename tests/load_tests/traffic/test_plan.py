from __future__ import annotations

from pathlib import Path

from load_tests.traffic.plan import Phase, Plan, Request


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = Plan(
        (Phase("open", 2.5, rate=7.0), Phase("closed", 1, clients=3)),
        (
            Request("picture", "/infer", b"\xff\xd8\x00", content_type="image/jpeg"),
            Request.json("add", "/add", {"label": "Zoë"}, share=0.25, expects="idMap"),
        ),
        arrivals="even",
        timeout_s=9.0,
        seed=4,
    )
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    assert plan.seconds == 3.5
