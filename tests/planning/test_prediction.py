"""The model against the report that it was fitted from, and against the load it is asked for."""

from __future__ import annotations

import pytest

from serve_app.planning.costs import DEFAULT_REPORT, STAGES, Run, read_costs
from serve_app.planning.prediction import expected, predicted
from serve_app.planning.sizing import Load, plan

COSTS = read_costs(DEFAULT_REPORT)


def named(run: Run) -> str:
    return f"{run.faces}-" + (f"{run.rate:.0f}s" if run.rate else f"{run.clients}clients")


@pytest.mark.parametrize("run", COSTS.runs, ids=named)
def test_the_model_predicts_the_runs_of_its_report(run: Run) -> None:
    found = predicted(run, COSTS)
    assert found.rate == pytest.approx(run.images_s, rel=0.15)
    assert found.p50_ms == pytest.approx(run.p50_ms, rel=0.3)
    assert found.p99_ms == pytest.approx(run.p99_ms, rel=0.4)


def test_a_plan_answers_at_the_rate_it_was_made_for() -> None:
    for rps in (5, 500, 5000):
        found = expected(plan(Load(rps), COSTS), COSTS)
        assert found.rate == pytest.approx(rps, rel=0.1)


def test_nothing_is_faster_than_its_work_and_waiting_grows_with_utilisation() -> None:
    p99 = []
    for utilisation in (0.3, 0.65, 0.9):
        made = plan(Load(2000, utilisation=utilisation), COSTS)
        found = expected(made, COSTS)
        assert found.p50_ms >= sum(COSTS.stages[name].run_ms(1, 1) for name in STAGES)
        p99.append(found.p99_ms)
    assert p99 == sorted(p99)
