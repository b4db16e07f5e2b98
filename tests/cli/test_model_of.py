"""The model that embeddings are said to be of."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.cli.model_of import check_dimension, extractor_of
from serve_app.errors import GalleryMismatchError


@pytest.mark.models
def test_the_embedded_extractor(tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text("applications: [{args: {}}]", encoding="utf-8")
    model_id, dimension = extractor_of(None, tmp_path / "serve.yaml", tmp_path, {})
    assert model_id.startswith("SFace@")
    assert dimension == 128


def test_dimensions() -> None:
    check_dimension("theirs", 128, "m", 128)
    with pytest.raises(GalleryMismatchError, match="theirs holds 128 dimensions, m makes 512"):
        check_dimension("theirs", 128, "m", 512)
