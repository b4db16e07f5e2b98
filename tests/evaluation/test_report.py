from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from serve_app.evaluation.report import WIDTH, report
from serve_app.evaluation.run import Evaluation

from .samples import run, write_people
from .written_vectors import write


@pytest.fixture
def result(tmp_path: Path) -> Evaluation:
    return run(write_people(tmp_path / "staff", people=60, images=3, strangers=60), fmr=2e-3)


def row(text: str, name: str) -> str:
    """A figure's row, its lines joined."""
    lines = text.splitlines()
    (first,) = (n for n, line in enumerate(lines) if line.startswith(f"  {name}  "))
    rest = [line.strip() for line in lines[first + 1 :]]
    indents = [len(line) - len(line.lstrip()) for line in lines[first + 1 :]]
    last = next((n for n, indent in enumerate(indents) if indent < 20), len(rest))
    return " ".join([lines[first], *rest[:last]])


def test_every_figure_says_what_it_is_a_share_of(result: Evaluation) -> None:
    text = report(result)
    assert text.splitlines()[:2] == [
        "set      staff: 240 images, a face was found in every one",
        "model    toy@1",
    ]
    figures, rates = result.verification, result.pair_rates
    assert figures is not None
    assert result.identification is not None
    assert "(180 genuine, 180 impostor pairs)" in row(text, "ten folds")
    assert f"{figures.wrong} of 360 are wrong" in row(text, "best threshold")
    assert "1:1, all pairs of 120 people (180 genuine, 28,500 impostor pairs)" in text
    point = rates.at_fpr[0]
    assert f"{point.true_matches} of 180 genuine pairs" in row(text, "TPR at FPR 1e-3")
    assert f"{100 * (point.tpr or 0):.2f} %" in row(text, "TPR at FPR 1e-3")
    assert "refused" in row(text, "TPR at FPR 1e-4")
    assert "28,500, 1e-4 needs 100,000" in row(text, "TPR at FPR 1e-4")
    wished = row(text, "threshold at FMR 2e-3")
    assert "95 % interval" in wished
    assert f"{100 * (rates.wished.tpr or 0):.2f} % of the genuine pairs reach it" in wished
    assert "57 of 28,500 impostor pairs" in row(text, "FMR achieved")
    found = result.identification
    assert f"{found.rank1} of 120 probes" in row(text, "rank-1")
    assert f"{120 - found.recognised} of 120 probes are missed" in row(text, "FNIR at FPIR 5 %")
    assert "3 of 60 strangers reach" in row(text, "FNIR at FPIR 5 %")
    assert f"{found.recognised} of 120 probes" in row(text, "recognised")
    assert "jackknife over people" in text.replace("\n", " ")


def test_lines_are_short_and_columns_aligned(result: Evaluation) -> None:
    lines = report(result).splitlines()
    assert max(map(len, lines)) <= WIDTH
    figures = [line for line in lines if line.startswith("  ") and line[2] != " "]
    assert len(figures) == 9
    columns = {line.rindex("  ", 0, 45) for line in figures if "refused" not in line}
    assert len(columns) == 1


def test_images_that_can_not_be_enrolled(result: Evaluation) -> None:
    one = dataclasses.replace(result, without_face=1, failures={"a.jpg": "no face found"})
    assert report(one).splitlines()[:2] == [
        "set      staff: 240 images, 1 of them can't be enrolled",
        "         a.jpg: no face found",
    ]
    many = dataclasses.replace(result, without_face=3, failures={"a.jpg": "no face found"})
    assert "a.jpg: no face found (and 2 others: --json names them)" in report(many)


def test_figures_that_there_are_not(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1 0 0", "b": "0 1 0", "pairs.txt": "a b 0\n"})
    text = report(run(tmp_path))
    assert "too few pairs (0 genuine, 1 impostor pairs)" in row(text, "ten folds")
    assert "1:1, listed pairs only, as the list doesn't say who is who (0 genuine, 1 imp" in text
    assert "1, 1e-2 needs 1,000" in row(text, "threshold at FMR 1e-2")
    assert "1:N" not in text
    assert "jackknife" not in text


def test_a_search_without_strangers(tmp_path: Path) -> None:
    text = report(run(write_people(tmp_path, people=3, images=2, strangers=0)))
    assert "3 of 3 probes" in row(text, "rank-1")
    assert "refused" in row(text, "FNIR at FPIR 5 %")
