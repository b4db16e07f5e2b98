from __future__ import annotations

import pytest

from serve_app.errors import ConfigError
from serve_app.models.zoo.table import (
    CENTERFACE,
    OFFICIAL,
    PACKAGED,
    RESNET50_FACE,
    ZOO,
    OfficialModel,
    Task,
    find,
)


def test_the_tutorials_six_and_the_packaged_three() -> None:
    assert list(OFFICIAL) == [
        "BlazeFace",
        "BlazeFace-FPN-SSH",
        "PicoDet_LCNet_x2_5_face",
        "PP-YOLOE_plus-S_face",
        "MobileFaceNet",
        "ResNet50_face",
    ]
    assert list(PACKAGED) == ["YuNet", "CenterFace", "SFace"]
    assert list(ZOO) == [*PACKAGED, *OFFICIAL]


def test_the_tutorials_figures() -> None:
    """Its tables, copied: AP on WIDER FACE or accuracy on three sets, and megabytes."""
    assert {model.name: (model.published, model.megabytes) for model in OFFICIAL.values()} == {
        "BlazeFace": ("77.7 / 73.4 / 49.5", 0.447),
        "BlazeFace-FPN-SSH": ("83.2 / 80.5 / 60.5", 0.606),
        "PicoDet_LCNet_x2_5_face": ("93.7 / 90.7 / 68.1", 28.9),
        "PP-YOLOE_plus-S_face": ("93.9 / 91.8 / 79.8", 26.5),
        "MobileFaceNet": ("96.28 / 96.71 / 99.58", 4.1),
        "ResNet50_face": ("98.12 / 98.56 / 99.77", 87.2),
    }


@pytest.mark.parametrize("model", ZOO.values(), ids=lambda model: model.name)
def test_extractors_have_a_dimension_and_detectors_none(model: OfficialModel) -> None:
    assert (model.dimension is None) == (model.task == "detector")
    assert not (model.landmarks and model.task == "extractor")
    assert model.published
    assert model.measure
    assert model.licence in {"MIT", "Apache-2.0"}


def test_archives_are_named_as_published() -> None:
    assert RESNET50_FACE.archive == "ResNet50_face_infer.tar"


def test_find() -> None:
    assert find("CenterFace", "detector") is CENTERFACE
    assert find("ResNet50_face") is RESNET50_FACE


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("Blazeface", None, "model Blazeface is not known; did you mean BlazeFace?"),
        ("YuNett", "detector", "did you mean YuNet? For a model of your own, set model_dir"),
        ("ResNet50", "extractor", "did you mean ResNet50_face?"),
        ("PPYOLOE_plus-S_face", "detector", "did you mean PP-YOLOE_plus-S_face?"),
        ("xyz", "extractor", "known are MobileFaceNet, ResNet50_face, SFace. For a model"),
        ("SFace", "detector", "model SFace is no detector; known are BlazeFace, BlazeFace-FPN-SSH"),
        ("YuNet", "extractor", "model YuNet is no extractor; known are MobileFaceNet"),
    ],
)
def test_a_wrong_name(name: str, task: Task | None, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(name, task)
    assert message in str(caught.value)
