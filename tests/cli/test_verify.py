"""``face-serve verify``: the verdict, its exit code, and pictures that have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from serve_app.cli.main import app
from serve_app.errors import FaceServeError, NoFaceError, SeveralFacesError

from .processes import IMAGES, PIPELINE, run

DEMO0, DEMO1 = str(IMAGES / "demo0.png"), str(IMAGES / "demo1.png")
SCENE = str(IMAGES / "scene_2face.png")


@pytest.fixture(scope="module")
def detecting(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stand-ins, with pictures whose faces are looked for."""
    content = yaml.safe_load(Path(PIPELINE).read_text(encoding="utf-8"))
    content["enrol"] = {"detect": True}
    for module in content["SubModules"].values():
        module["model_dir"] = str(Path(PIPELINE).parent / module["model_dir"])
    file = tmp_path_factory.mktemp("pipeline") / "detecting.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(file)


def verify(*arguments: str, pipeline: str = PIPELINE) -> Result:
    result = CliRunner().invoke(app, ["verify", *arguments, "--pipeline", pipeline])
    if isinstance(result.exception, FaceServeError):
        raise result.exception
    return result


def test_the_same_person() -> None:
    result = verify(DEMO1, DEMO1)
    assert (result.exit_code, result.stdout) == (
        0, "same person: cosine 1.000, threshold 0.400\n"
    )  # fmt: skip


def test_different_people() -> None:
    result = verify(DEMO0, DEMO1, "--threshold", "0.99")
    assert result.exit_code == 1
    assert result.stdout.startswith("different people: cosine 0.97")
    assert result.stdout.endswith(", threshold 0.990\n")


def test_json(detecting: str) -> None:
    result = verify(SCENE, str(IMAGES / "scene_1face.png"), "--json", pipeline=detecting)
    found = json.loads(result.stdout)
    assert found["same"] is (result.exit_code == 0)
    assert found["score"] >= found["threshold"] == 0.4
    assert found["model"].startswith("MobileFaceNet@")
    assert found["pictures"][0] == {
        "input_path": SCENE,
        "faces": 2,
        "coordinate": pytest.approx([10.5, 20.25, 130.5, 145.75]),
    }
    whole = json.loads(verify(DEMO0, DEMO1, "--json").stdout)
    assert [picture["coordinate"] for picture in whole["pictures"]] == [None, None]


def test_one_of_several_faces_is_said(detecting: str) -> None:
    result = verify(SCENE, SCENE, pipeline=detecting)
    assert result.stderr == f"{SCENE} shows 2 faces: the largest was compared\n" * 2


def test_no_face(detecting: str) -> None:
    with pytest.raises(NoFaceError, match=r"scene_0face\.png: no face found"):
        verify(DEMO0, str(IMAGES / "scene_0face.png"), pipeline=detecting)


def test_several_faces_where_only_one_may_be(detecting: str, tmp_path: Path) -> None:
    text = Path(detecting).read_text(encoding="utf-8")
    single = tmp_path / "single.yaml"
    single.write_text(text.replace("detect: true", "faces: single"), encoding="utf-8")
    with pytest.raises(SeveralFacesError, match=r"scene_2face\.png: several faces"):
        verify(SCENE, SCENE, pipeline=str(single))


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (["nowhere.jpg", DEMO0], "nowhere.jpg: no such file"),
        ([DEMO0, "."], ".: a directory, not an image file"),
        ([DEMO0, "http://127.0.0.1:1/x.jpg"], "http://127.0.0.1:1/x.jpg: "),
    ],
)
def test_mistakes(pictures: list[str], message: str, tmp_path: Path) -> None:
    result = run("verify", *pictures, "--pipeline", PIPELINE, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"face-serve: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.models
def test_real_networks(tmp_path: Path) -> None:
    from skimage import data, io

    io.imsave(tmp_path / "a.png", data.astronaut())
    io.imsave(tmp_path / "b.jpg", data.astronaut()[:400, ::-1])
    same = run("verify", "a.png", "b.jpg", cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    assert same.stdout.startswith("same person: cosine 0.")
    strict = run("verify", "a.png", "b.jpg", "--threshold", "1", cwd=tmp_path)
    assert (strict.returncode, strict.stdout.split(":")[0]) == (1, "different people")
