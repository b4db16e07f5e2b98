from __future__ import annotations

import builtins
import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from serve_app.errors import ConfigError, InvalidRequestError
from serve_app.evaluation.plot import check_plot, plot
from serve_app.evaluation.run import Evaluation

from .samples import run, write_people
from .written_vectors import write


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    root = tmp_path_factory.mktemp("evaluation") / "staff"
    return run(write_people(root, people=60, images=3, strangers=60), fmr=2e-3)


def text_of(result: Evaluation, path: Path) -> str:
    """An SVG's words: matplotlib writes each text beside its glyphs as a comment."""
    plot(result, path)
    return path.read_text(encoding="utf-8")


def test_a_picture_with_both_curves(result: Evaluation, tmp_path: Path) -> None:
    plot(result, tmp_path / "curve.png")
    picture: Any = cv2.imread(str(tmp_path / "curve.png"))
    height, width = picture.shape[:2]
    assert width > 2 * height
    assert width > 2000
    for half in (picture[:, : width // 2], picture[:, width // 2 :]):
        line = (np.abs(half.astype(int) - (0xBF, 0x5F, 0x1F)).max(axis=2) < 12).sum()
        assert line > 2000, "a curve is drawn in its colour"


def test_what_it_says(result: Evaluation, tmp_path: Path) -> None:
    words = text_of(result, tmp_path / "curve.svg")
    tpr, found = result.pair_rates.at_fpr[0].tpr, result.identification
    assert tpr is not None
    assert found is not None
    assert found.fnir is not None
    for expected in (
        "staff: 240 images, toy@1", "Verification, 1:1", "Identification, 1:N",
        "180 genuine and 28,500 impostor pairs", f"{100 * tpr:.2f} % TPR at FPR 1e-3",
        "wished FMR 2e-3: threshold", "95 % interval", "fewer than 10 false matches",
        f"{100 * found.fnir:.2f} % FNIR at FPIR 5 %", "fewer than 10 strangers",
    ):  # fmt: skip
        assert f"<!-- {expected}" in words or expected in words, expected
    assert "at FPR 1e-4" not in words, "a refused rate is not drawn"


def test_one_panel_without_a_search(result: Evaluation, tmp_path: Path) -> None:
    alone = dataclasses.replace(result, identification=None, search_curve=[])
    plot(alone, tmp_path / "curve.png")
    picture: Any = cv2.imread(str(tmp_path / "curve.png"))
    assert picture.shape[1] < 1.5 * picture.shape[0]


def test_names_are_no_formulas(result: Evaluation, tmp_path: Path) -> None:
    strange = dataclasses.replace(result, set_name=r"a$\frac$b")
    assert "a$\\frac$b: 240 images" in text_of(strange, tmp_path / "curve.svg")


def test_small_sets_make_a_picture_too(tmp_path: Path) -> None:
    write(tmp_path / "two", {"a": "1 0 0", "b": "0 1 0", "pairs.txt": "a b 0\n"})
    words = text_of(run(tmp_path / "two"), tmp_path / "two.svg")
    assert "no genuine or no impostor pairs" in words
    for people, strangers in ((2, 0), (2, 1), (1, 5)):
        root = write_people(tmp_path / f"{people}{strangers}", people, 2, strangers, spread=0.01)
        plot(run(root, fpir=0), tmp_path / "small.pdf")
    assert (tmp_path / "small.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("curve.gif", r"--plot curve.gif: a name that ends in .png, .svg, .pdf is expected"),
        ("curve", "--plot curve: a name that ends in"),
        ("nowhere/curve.png", "--plot curve.png: its directory does not exist"),
    ],
)
def test_what_can_not_become_a_picture(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        check_plot(tmp_path / name)


def test_a_picture_that_can_not_be_written(result: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "curve.png").mkdir()
    with pytest.raises(InvalidRequestError, match=r"^curve.png can't be written: Is a directory$"):
        plot(result, tmp_path / "curve.png")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"--plot needs matplotlib.*'face-serve\[plot\]'"):
        check_plot(tmp_path / "curve.png")
