from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError, ModelError
from serve_app.models.zoo.directories import local_directory, official_directory, paddle_network
from serve_app.models.zoo.origin import VARIABLE
from serve_app.models.zoo.table import BLAZEFACE
from tests.models.zoo.archive_server import ArchiveServer, Reply
from tests.models.zoo.archives import model


def config(name: str, directory: Path | None) -> ModelConfig:
    return ModelConfig(model_name=name, model_dir=directory)


@pytest.mark.parametrize("name", ["MobileFaceNet", "SFace", "a name of my own"])
def test_a_named_directory(name: str, official_models: dict[str, Path]) -> None:
    directory = official_models["MobileFaceNet"]
    assert local_directory(config(name, directory)) == directory
    assert local_directory(config(name, None)) is None


def test_another_official_model_than_the_named_one(official_models: dict[str, Path]) -> None:
    directory = official_models["ResNet50_face"]
    with pytest.raises(ConfigError, match=r"is MobileFaceNet, but .* holds ResNet50_face"):
        local_directory(config("MobileFaceNet", directory))


def test_the_id_follows_the_weights(official_models: dict[str, Path], tmp_path: Path) -> None:
    original = official_models["MobileFaceNet"]
    copy = Path(shutil.copytree(original, tmp_path / "further"))
    assert paddle_network("x", copy, dict).digest == paddle_network("x", original, dict).digest
    weights = bytearray((copy / "inference.pdiparams").read_bytes())
    weights[-1] ^= 1
    (copy / "inference.pdiparams").write_bytes(weights)
    assert paddle_network("x", copy, dict).digest != paddle_network("x", original, dict).digest
    assert not paddle_network("x", copy, dict).is_onnx
    (copy / "inference.json").unlink()
    with pytest.raises(ModelError, match=r"further needs inference\.pdiparams and"):
        paddle_network("x", copy, dict)


def test_an_official_model_comes_from_the_mirror_once(
    server: ArchiveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.replies = [Reply(model("BlazeFace"))]
    monkeypatch.setenv(VARIABLE, server.url)
    directory = official_directory(BLAZEFACE, tmp_path)
    assert (directory / "inference.yml").is_file()
    monkeypatch.setenv(VARIABLE, "no origin://at all")  # is not asked any more
    assert official_directory(BLAZEFACE, tmp_path) == directory
    assert len(server.requests) == 1
    assert capsys.readouterr() == ("", "")  # no terminal, no bar
