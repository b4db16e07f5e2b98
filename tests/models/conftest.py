"""What the tests of networks share: one cache of converted weights and one set of stand-ins for the
whole session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import paddle_networks
from tests.models.official_forms import DETECTORS, EXTRACTORS, export


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def official_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories of stand-ins of the six official models, by name (``inference.json``)."""
    return export(tmp_path_factory.mktemp("official"), [*DETECTORS, *EXTRACTORS])


@pytest.fixture(scope="session")
def legacy_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two of them as older releases wrote them (``inference.pdmodel``)."""
    names = ["BlazeFace", "MobileFaceNet"]
    return export(tmp_path_factory.mktemp("legacy"), names, pir=False)


@pytest.fixture(scope="session")
def paddle_forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a directory for each of ``paddle_networks.FORMS``: not to be changed."""
    folder = tmp_path_factory.mktemp("forms")
    paddle_networks.export_all(folder)
    return folder
