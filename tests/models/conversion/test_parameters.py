"""fp16 directories answer as the fp32 network does, within fp16's rounding of the parameters."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.conversion.parameters import as_float32, check_whole
from serve_app.models.conversion.pdiparams import stored_tensors
from serve_app.models.runtime.paddle_inference import PaddleSession
from tests.models.conversion.test_pdiparams import record
from tests.models.paddle_networks import INPUT, cosines, network_files


def answer(network: Path, parameters: Path) -> NDArray[Any]:
    session = PaddleSession(network, parameters, Device(), 1)
    (features,) = session.run({"x": INPUT}).values()
    return features


def half_parameters(source: Path, target: Path) -> Path:
    """A directory whose program says fp32 and whose parameter file holds fp16."""
    shutil.copytree(source, target)
    file = target / "inference.pdiparams"
    content = file.read_bytes()
    file.write_bytes(
        b"".join(
            record(
                np.frombuffer(content, np.float32, tensor.size // 4, tensor.values)
                .reshape(tensor.shape)
                .astype(np.float16),
                "FP16",
            )
            for tensor in stored_tensors(file)
        )
    )
    return target


@pytest.fixture(scope="module")
def forms(paddle_forms: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("undeclared")
    undeclared = {
        f"{kind}_undeclared": half_parameters(paddle_forms / f"{kind}32", folder / kind)
        for kind in ("json", "pdmodel")
    }
    return undeclared | {path.name: path for path in paddle_forms.iterdir()}


@pytest.mark.parametrize("kind", ["json", "pdmodel"])
@pytest.mark.parametrize("form", ["cast", "undeclared", "half", "mixed"])
def test_answers_as_the_network_in_fp32(
    forms: dict[str, Path], tmp_path: Path, kind: str, form: str
) -> None:
    expected = answer(*network_files(forms[f"{kind}32"]))
    network, parameters = as_float32(*network_files(forms[f"{kind}_{form}"]), tmp_path)
    assert network.parent == parameters.parent
    assert network.parent.parent == tmp_path
    assert {tensor.type for tensor in stored_tensors(parameters)} == {"FP32"}
    found = answer(network, parameters)
    assert found.dtype == np.float32
    assert cosines(found, expected).min() > 0.9999
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.abs(found - expected).max() > 0, "parameters rounded to fp16 tell on the answer"


@pytest.mark.parametrize("kind", ["json", "pdmodel"])
@pytest.mark.parametrize("form", ["undeclared", "half", "mixed"])
def test_why_paddle_does_not_run_them_as_they_are(
    forms: dict[str, Path], kind: str, form: str
) -> None:
    with pytest.raises(ModelError, match=rf"^{forms[f'{kind}_{form}'].name}/.* by Paddle: "):
        answer(*network_files(forms[f"{kind}_{form}"]))


@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_fp32_is_left_alone(forms: dict[str, Path], tmp_path: Path, form: str) -> None:
    files = network_files(forms[form])
    assert as_float32(*files, tmp_path) == files
    assert list(tmp_path.iterdir()) == []


def test_is_copied_once_and_repaired(forms: dict[str, Path], tmp_path: Path) -> None:
    files = network_files(forms["json_half"])
    network, parameters = as_float32(*files, tmp_path)
    inode, content = parameters.stat().st_ino, parameters.read_bytes()
    assert as_float32(*files, tmp_path) == (network, parameters)
    assert parameters.stat().st_ino == inode
    parameters.write_bytes(content[:-1] + b"?")
    assert as_float32(*files, tmp_path) == (network, parameters)
    assert parameters.read_bytes() == content


def test_other_parameters_have_a_copy_of_their_own(forms: dict[str, Path], tmp_path: Path) -> None:
    trained = tmp_path / "json_half"
    shutil.copytree(forms["json_half"], trained)
    file = trained / "inference.pdiparams"
    first = as_float32(*network_files(trained), tmp_path / "cache")
    file.write_bytes(file.read_bytes()[:-2] + b"\0\0")
    assert as_float32(*network_files(trained), tmp_path / "cache") != first


def test_a_full_disk_leaves_no_half_copy(
    forms: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = network_files(forms["json_half"])

    def full(_: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            as_float32(*files, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert as_float32(*files, tmp_path)[1].exists()


@pytest.mark.parametrize("form", ["json_half", "json32", "pdmodel32"])
def test_a_file_that_is_cut_short(forms: dict[str, Path], tmp_path: Path, form: str) -> None:
    directory = tmp_path / "Net"
    shutil.copytree(forms[form], directory)
    network, parameters = network_files(directory)
    check_whole(network, parameters)
    parameters.write_bytes(parameters.read_bytes()[:-4])
    for check in (lambda: as_float32(network, parameters, tmp_path / "cache"),
                  lambda: check_whole(network, parameters)):  # fmt: skip
        with pytest.raises(ModelError, match=r"^Net/inference\.pdiparams is cut short"):
            check()
    assert not (tmp_path / "cache").exists()
