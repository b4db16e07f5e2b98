"""What is wrong with a configuration file, of which kind it is, and what it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.cli.config_file import NEITHER, PIPELINE, SERVE, CheckedFile, check_file
from serve_app.config import parse_pipeline

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "configs" / "serve" / "local.yaml"


def checked(tmp_path: Path, text: str) -> CheckedFile:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    return check_file(tmp_path / "mine.yaml")


@pytest.mark.parametrize("file", sorted(ROOT.glob("configs/*/*.yaml")), ids=lambda f: f.name)
def test_our_own_files_are_right(file: Path) -> None:
    found = check_file(file)
    assert found.mistakes == []
    assert found.kind == (SERVE if file.parent.name == "serve" else PIPELINE)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", PIPELINE),
        ("device: cpu", PIPELINE),
        ("Pipeline: {}", PIPELINE),
        ("SubModules: {}\napplication_name: x", PIPELINE),
        ("applications: []", SERVE),
        ("aplications: []", SERVE),
        ("http_option: {}\nproxy_locaton: HeadOnly", SERVE),
        ("applications: []\ndet_threshold: 1\nrec_threshold: 1", SERVE),
        ("- 1", PIPELINE),
    ],
)
def test_the_kind_is_told_by_its_keys(text: str, kind: str, tmp_path: Path) -> None:
    assert checked(tmp_path, text).kind == kind


def test_every_mistake_of_a_pipeline_file(tmp_path: Path) -> None:
    found = checked(tmp_path, "det_treshold: 1\nrec_topk: 0\nSubModules: {Detecton: {}}")
    assert found.mistakes == [
        "det_treshold is not a known key; did you mean det_threshold?",
        "SubModules.Detecton is not a known key; did you mean Detection?",
        "rec_topk: Input should be greater than or equal to 1",
    ]
    assert found.values == {}


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        ("{model_name: BlazFace}", "detector: model BlazFace is not known; did you mean BlazeFac"),
        ("{model_name: SFace}", "detector: model SFace is no detector"),
        ("{model_dir: nowhere}", "detector: "),
    ],
)
def test_models_that_are_none(detection: str, message: str, tmp_path: Path) -> None:
    (mistake,) = checked(tmp_path, f"SubModules: {{Detection: {detection}}}").mistakes
    assert mistake.startswith(message)
    assert str(tmp_path) not in mistake


def test_a_pipeline_with_every_default(tmp_path: Path) -> None:
    found = checked(tmp_path, "Pipeline: {score_thres: 0.3, det_model: BlazeFace}")
    values: Any = yaml.safe_load(found.text())
    assert (values["rec_threshold"], values["rec_topk"]) == (0.3, 5)
    written = parse_pipeline(values, base=tmp_path)
    assert written == parse_pipeline(
        {"Pipeline": {"score_thres": 0.3, "det_model": "BlazeFace"}}, base=tmp_path
    )


def test_every_mistake_of_a_serve_file(tmp_path: Path) -> None:
    text = LOCAL.read_text(encoding="utf-8")
    for right, wrong in (
        ("num_replicas: 2", "num_replcas: 2"),
        ("data_dir", "data_dr"),
        ("name: Detector", "name: Detectr"),
        ("max_cost: 64 }\n", "max_cst: 64 }\n"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    found = checked(tmp_path, text)
    assert found.kind == SERVE
    assert [mistake.split(" ")[0] for mistake in found.mistakes] == [
        "applications[0].deployments[2].num_replcas", "args.data_dr", "deployments:",
        "Index.user_config.max_cst",
    ]  # fmt: skip
    for key in ("num_replicas", "data_dir", "Detector", "max_cost"):
        assert any(f"did you mean {key}?" in mistake for mistake in found.mistakes)


def test_a_serve_file_with_every_default_and_no_secret(tmp_path: Path) -> None:
    content = yaml.safe_load(LOCAL.read_text(encoding="utf-8"))
    content["applications"][0]["args"] |= {
        "database_url": "postgresql://face:s3cret@db/faces?sslpassword=s3cret",
        "snapshots": {"url": "s3://key:s3cret@bucket/prefix"},
        "limits": {"pairs": 7},
    }
    text = checked(tmp_path, yaml.safe_dump(content)).text()
    (application,) = yaml.safe_load(text)["applications"]
    assert "s3cret" not in text
    assert application["args"]["database_url"] == "postgresql://***@db/faces?***"
    assert application["args"]["snapshots"]["url"] == "s3://***@bucket/prefix"
    assert application["args"]["limits"]["pairs"] == 7
    assert application["args"]["limits"]["image_bytes"] == 10 * 1024 * 1024
    assert application["args"]["data_dir"] == "./data", "as it was written"
    assert application["deployments"] == content["applications"][0]["deployments"]


def test_another_application_in_a_serve_file_is_left_alone(tmp_path: Path) -> None:
    content = yaml.safe_load(LOCAL.read_text(encoding="utf-8"))
    other = {"name": "other", "import_path": "theirs:app", "route_prefix": "/x", "args": {"a": 1}}
    content["applications"].append(other)
    assert checked(tmp_path, yaml.safe_dump(content)).values["applications"][1] == other


def test_the_pipeline_of_a_serve_file_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pipeline.yaml").write_text("SubModules: {Recognition: {model_name: SFac}}")
    content = yaml.safe_load(LOCAL.read_text(encoding="utf-8"))
    content["applications"][0]["args"]["pipeline"] = "pipeline.yaml"
    (mistake,) = checked(tmp_path, yaml.safe_dump(content)).mistakes
    assert "model SFac is not known; did you mean SFace?" in mistake


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not valid YAML: line 1, column 5"),
        (b"a: 1\n b: 2", "is not valid YAML: line 2, column 3: mapping values are not allowed"),
        (b"\xff\xfe", "is not text in UTF-8"),
        (b"a: \x00", "is not valid YAML"),
    ],
)
def test_what_is_no_yaml(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    found = check_file(tmp_path / "mine.yaml")
    assert found.kind == NEITHER
    assert found.mistakes[0].startswith(message)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert check_file(tmp_path / "none.yaml").mistakes == [
        "can't be read: No such file or directory"
    ]
    assert check_file(tmp_path).mistakes == ["can't be read: Is a directory"]
