"""``face-serve predict``: what is printed, saved and left out, on the stand-in networks."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli.main import app
from serve_app.errors import ConfigError, FaceServeError, InvalidRequestError

from .processes import IMAGES, PIPELINE, PROGRAM, run

SCENE = str(IMAGES / "scene_2face.png")
NOBODY = str(IMAGES / "scene_0face.png")
ONE = str(IMAGES / "scene_1face.png")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    """ID0, ID1 and ID2, as PaddleX enrolled them when its answers were recorded."""
    root = tmp_path_factory.mktemp("gallery")
    lines = [f"{IMAGES / f'demo{number}.png'} ID{number}\n" for number in range(3)]
    (root / "gallery.txt").write_text("".join(lines), encoding="utf-8")
    made = CliRunner().invoke(
        app, ["index", "build", str(root), "-o", str(root / "index"), "--pipeline", PIPELINE]
    )
    assert made.exit_code == 0, made.output
    return str(root / "index")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "below").mkdir(parents=True)
    shutil.copy(SCENE, root / "a.png")
    shutil.copy(ONE, root / "below" / "c.png")
    (root / "b.png").write_bytes(Path(SCENE).read_bytes()[:500])
    return root


def predict(*arguments: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(app, ["predict", *arguments, "--pipeline", PIPELINE], input=stdin)
    if isinstance(result.exception, FaceServeError):
        raise result.exception
    return result


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_text(index: str) -> None:
    result = predict(SCENE, NOBODY, "--index", index)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{SCENE}: 2 faces",
        "  ID1  1.000  box 10,20-130,146    or ID2 0.976, ID0 0.974",
        "  ID2  1.000  box 490,340-610,466  or ID1 0.975, ID0 0.974",
        f"{NOBODY}: no face",
    ]
    assert result.stderr.startswith("2 pictures, 2 faces: 2 recognised, 0 unknown (")


def test_json_lines(index: str) -> None:
    found = lines(predict(SCENE, NOBODY, "--index", index, "--json"))
    assert [one["input_path"] for one in found] == [SCENE, NOBODY]
    assert [box["labels"] for box in found[0]["boxes"]] == [
        ["ID1", "ID2", "ID0"],
        ["ID2", "ID1", "ID0"],
    ]
    assert found[0]["boxes"][0]["coordinate"] == [10.5, 20.25, 130.5, 145.75]
    assert found[1]["boxes"] == []


def test_thresholds_and_top_k(index: str) -> None:
    def labels(*options: str) -> list[Any]:
        (found,) = lines(predict(SCENE, "--index", index, "--json", *options))
        return [box["labels"] for box in found["boxes"]]

    assert labels("--topk", "1") == [["ID1"], ["ID2"]]
    assert labels("--rec-threshold", "1.01") == [None, None]
    assert labels("--det-threshold", "0.985") == [["ID1", "ID2", "ID0"]]


def test_the_index_of_the_pipeline_file(index: str, tmp_path: Path) -> None:
    shutil.copytree(Path(PIPELINE).parent / "models", tmp_path / "models")
    text = Path(PIPELINE).read_text(encoding="utf-8").replace("index: None", f"index: {index}")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    arguments = ["predict", SCENE, "--pipeline", str(tmp_path / "mine.yaml"), "--json"]
    (found,) = lines(CliRunner().invoke(app, arguments))
    assert len(found["boxes"]) == 2


def test_directories_and_standard_input(index: str, photos: Path) -> None:
    (photos / "b.png").unlink()
    listed = f"{photos / 'below'}\n\n{ONE}\r\n"
    found = lines(predict(str(photos / "a.png"), "-", "--index", index, "--json", stdin=listed))
    names = [one["input_path"] for one in found]
    assert names == [str(photos / "a.png"), str(photos / "below" / "c.png"), ONE]


def test_what_can_not_be_read_ends_it_or_is_left_out(index: str, photos: Path) -> None:
    with pytest.raises(FaceServeError, match=r"b\.png: image is truncated"):
        predict(str(photos), "--index", index)
    gone = str(photos / "gone.png")
    result = predict(str(photos), gone, ONE, "--index", index, "--skip-bad")
    assert result.exit_code == 0
    shown = [line.partition(":")[0] for line in result.stdout.splitlines() if line[0] != " "]
    assert [Path(name).name for name in shown] == ["a.png", "c.png", "scene_1face.png"]
    *left_out, summary = result.stderr.splitlines()
    bad, missing = sorted(left_out)  # two threads say it
    assert bad.startswith(f"face-serve: left out: {photos / 'b.png'}: image is truncated")
    assert missing.startswith(f"face-serve: left out: {gone}: no such file")
    assert "; 2 left out (" in summary
    with pytest.raises(InvalidRequestError, match="nothing that was given could be read"):
        predict(gone, "--index", index, "--skip-bad")


def test_saving(index: str, photos: Path, tmp_path: Path) -> None:
    drawn, results = tmp_path / "drawn" / "here", tmp_path / "results.d"
    result = predict(
        str(photos), SCENE, "--index", index, "--skip-bad",
        "--save-img", str(drawn), "--save-json", str(results),
    )  # fmt: skip
    assert sorted(path.name for path in drawn.iterdir()) == ["a.png", "c.png", "scene_2face.png"]
    assert sorted(path.stem for path in results.iterdir()) == ["a", "c", "scene_2face"]
    saved = json.loads((results / "scene_2face.json").read_text(encoding="utf-8"))
    assert saved["input_path"] == SCENE
    assert f"drawn pictures: {drawn}/" in result.stderr
    assert f"results: {results}/" in result.stderr


def test_timings(index: str) -> None:
    text = predict(SCENE, "--index", index, "--timings").stdout
    assert "1 picture, 2 faces in " in text
    assert text.splitlines()[-1].startswith("the networks alone: ")
    *_, last = lines(predict(SCENE, "--index", index, "--timings", "--json"))
    assert (last["timings"]["images"], last["timings"]["faces"]) == (1, 2)


def test_mistakes(index: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="name one with --index"):
        predict(SCENE)
    with pytest.raises(InvalidRequestError, match="nowhere"):
        predict(SCENE, "--index", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="device: tpu is not known"):
        predict(SCENE, "--index", index, "--device", "tpu")
    for wrong in (["--workers", "0"], ["--topk", "-1"], ["--det-threshold", "high"], ["--foo"]):
        assert predict(SCENE, "--index", index, *wrong).exit_code == 2
    assert predict().exit_code == 2


def test_a_reader_that_goes_away(index: str, tmp_path: Path) -> None:
    arguments = [PROGRAM, "predict", SCENE, *[ONE] * 300, "--index", index]
    arguments += ["--pipeline", PIPELINE, "--json", "--workers", "1"]
    command = f"{shlex.join(arguments)} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    first, code = done.stdout.splitlines()
    assert json.loads(first)["input_path"] == SCENE
    assert (code, done.stderr) == ("141", "")


def test_answers_come_while_more_is_read(index: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "predict", "-", "--live", "--json", "--index", index, "--pipeline", PIPELINE],
        cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for picture in (SCENE, ONE):
            process.stdin.write(os.fsencode(f"{picture}\n"))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["input_path"] == picture
        time.sleep(0.2)  # it waits for a line
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""


def test_paths_that_are_no_text(index: str, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff\x1b.png"
    shutil.copy(SCENE, os.fsdecode(odd))
    done = subprocess.run(
        [PROGRAM, "predict", "-", "--index", index, "--pipeline", PIPELINE],
        cwd=tmp_path, input=odd + b"\n", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0, os.fsencode(tmp_path) + rb"/\udcff\x1b.png: 2 faces",
    )  # fmt: skip


def test_mistakes_as_a_process(tmp_path: Path) -> None:
    done = run("predict", "nowhere.jpg", "--index", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "face-serve: nowhere is not a directory\n"


@pytest.mark.models
def test_real_networks(tmp_path: Path) -> None:
    from skimage import data, io

    (tmp_path / "people" / "Eileen Collins").mkdir(parents=True)
    io.imsave(tmp_path / "people" / "Eileen Collins" / "1.png", data.astronaut())
    io.imsave(tmp_path / "half.jpg", data.astronaut()[::2, ::2])
    assert run("index", "build", "people", "-o", "staff", cwd=tmp_path).returncode == 0
    done = run("predict", "half.jpg", "--index", "staff", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("half.jpg: Eileen Collins  0.9")
