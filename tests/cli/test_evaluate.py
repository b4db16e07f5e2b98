"""``face-serve evaluate``: what is printed and drawn, on the stand-in networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from serve_app.cli.evaluate import bar
from serve_app.cli.main import app
from serve_app.errors import FaceServeError, InvalidRequestError

from .processes import PIPELINE


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty people as coloured squares, thirty of them with a second, noisy picture. The stand-ins
    embed pictures whole."""
    root = tmp_path_factory.mktemp("evaluate") / "staff"
    rng = np.random.default_rng(1)
    for person in range(40):
        pattern = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        square = cv2.resize(pattern, (112, 112), interpolation=cv2.INTER_NEAREST)
        for picture in range(2 if person < 30 else 1):
            noisy = square + rng.integers(-20, 21, square.shape)
            file = root / f"P{person:02}" / f"{picture}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.clip(noisy, 0, 255).astype(np.uint8))
    return root


def evaluate(*arguments: str) -> Result:
    command = ["evaluate", *arguments, "--pipeline", PIPELINE]
    result = CliRunner().invoke(app, command)
    if isinstance(result.exception, FaceServeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_people(people: Path, tmp_path: Path) -> None:
    curve = tmp_path / "curve.png"
    output = evaluate(str(people), "--fmr", "0.01", "--fpir", "0.1", "--plot", str(curve)).stdout
    assert output.startswith("set      staff: 70 images, a face was found in every one\n")
    assert "1:1, all pairs of 40 people (30 genuine, 2,385 impostor pairs)" in output
    assert "threshold at FMR 1e-2" in output
    assert "FNIR at FPIR 10 %" in output
    assert output.endswith(f"\nThe curves are in {curve}.\n")
    assert curve.read_bytes().startswith(b"\x89PNG")


def test_json_has_everything(people: Path) -> None:
    result = evaluate(str(people), "--json", "--fmr", "0.01", "--workers", "1")
    assert result.stderr == "", "no bar where there is no terminal"
    found: Any = json.loads(result.stdout)
    assert found["identification"]["probes"] == found["identification"]["rank1"] == 30
    assert found["pair_rates"]["at_fpr"][1]["tpr"] is None
    assert found["pair_rates"]["at_fpr"][1]["refused"] == (
        "not enough impostor pairs: 2,385, 1e-4 needs 100,000"
    )
    wished = found["pair_rates"]["wished"]
    assert wished["false_matches"] == 23
    assert wished["achieved"] == 23 / 2385
    assert found["pair_rates"]["curve"][-1] == {"fpr": 1, "tpr": 1, "threshold": -1}
    assert found["verification"]["pairs"] == 60


def test_a_file_of_pairs_with_the_images_elsewhere(people: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("P00/0.png P00/1.png 1\nP00/0.png P01/0.png 0\n")
    output = evaluate(str(file), "--images", str(people)).stdout
    assert "1:1 accuracy (mine.txt)" in output
    assert "refused" in output
    with pytest.raises(InvalidRequestError, match=r"mine.txt, line 1: P00/0.png is listed but"):
        evaluate(str(file))


def test_an_image_that_can_not_be_decoded_is_named(people: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "good.png").write_bytes((people / "P00" / "0.png").read_bytes())
    (tmp_path / "pairs.txt").write_text("good.png bad.png 1\n")
    output = evaluate(str(tmp_path)).stdout
    assert "2 images, 1 of them can't be enrolled\n         bad.png: " in output


def test_a_name_can_not_move_the_cursor(people: Path, tmp_path: Path) -> None:
    root = tmp_path / "a\x1b[2Jb"
    root.mkdir()
    for name in ("0.png", "1.png"):
        (root / name).write_bytes((people / "P00" / name).read_bytes())
    (root / "pairs.txt").write_text("0.png 1.png 1\n")
    output = evaluate(str(root)).stdout
    assert "\x1b" not in output
    assert output.startswith("set      a\\x1b[2Jb: 2 images")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere holds neither pairs.txt nor .*: it does not exist"),
        ([".", "--plot", "curve.gif"], "--plot curve.gif: a name that ends in"),
        ([".", "--plot", "no/curve.png"], "--plot curve.png: its directory does not exist"),
    ],
)
def test_mistakes_are_told_before_the_work(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequestError, match=message):
        evaluate(*arguments)


@pytest.mark.parametrize("rate", ["0", "0.2", "-1", "often"])
def test_rates_that_are_none(rate: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), f"--fmr={rate}"])
    assert result.exit_code == 2
    assert "--fmr" in result.output


def test_a_bar_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(bar([1, 2, 3], "images")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(bar([1, 2, 3], "images")) == [1, 2, 3]
    assert "images" in capsys.readouterr().err
