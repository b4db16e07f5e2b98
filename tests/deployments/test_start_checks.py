"""Bad configuration ends the start, with one message that names the key. ``build_app`` is what
``serve run`` and KubeRay call; ``face-serve serve`` is run as a process in tests/cli."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.config import PipelineConfig, ServiceArgs, observability, parse_service_args
from serve_app.deployments.app import build_app
from serve_app.deployments.environment import free_port
from serve_app.deployments.start_checks import check_devices, check_logical_gpus, check_start
from serve_app.errors import ConfigError
from serve_app.index.store import GalleryStore
from tests.index.samples import build
from tests.index.vaults import MASTER, OTHER, SOURCE, VARIABLE, new_vault


def pipeline_file(directory: Path, **content: Any) -> str:
    file = directory / "pipeline.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(file)


def missing_model(directory: Path) -> dict[str, Any]:
    recognition = {"model_dir": str(directory / "nowhere")}
    return {"pipeline": pipeline_file(directory, SubModules={"Recognition": recognition})}


def test_build_app_refuses_a_variable_that_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GALLERIES", raising=False)
    with pytest.raises(ConfigError, match=r"args\.database_url: .* GALLERIES is not set"):
        build_app({"data_dir": str(tmp_path), "database_url": "env:GALLERIES"})


def test_build_app_refuses_a_database_that_is_not_there(tmp_path: Path) -> None:
    url = f"postgresql://anna:secret@127.0.0.1:{free_port()}/galleries"
    with pytest.raises(ConfigError) as refused:
        build_app({"data_dir": str(tmp_path), "database_url": url})
    message = str(refused.value)
    assert "database_url" in message
    assert "can't be reached" in message
    assert "secret" not in message
    assert "127.0.0.1" not in message


def test_build_app_refuses_another_master_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, MASTER)
    args = {"data_dir": str(tmp_path), "encryption": {"keys": [SOURCE]}}
    store = GalleryStore(f"sqlite:///{tmp_path / 'galleries.db'}", vault=new_vault())
    build(store)
    store.close()
    build_app(args)
    monkeypatch.setenv(VARIABLE, OTHER)
    with pytest.raises(ConfigError, match="is encrypted with master key"):
        build_app(args)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=rf"args\.encryption\.keys\[0\]: .* {VARIABLE} is not"):
        build_app(args)
    with pytest.raises(ConfigError, match="is encrypted, and args"):
        build_app({"data_dir": str(tmp_path)})


def test_the_api_gets_no_source_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, MASTER)
    args = {"data_dir": str(tmp_path), "encryption": {"keys": [SOURCE]}}
    ingress = build_app(args)._bound_deployment
    assert VARIABLE not in repr(ingress.init_args[-1].model_dump())


def test_build_app_refuses_a_model_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Recognition\.model_dir: there is no directory nowhere"):
        build_app({"data_dir": str(tmp_path), **missing_model(tmp_path)})


@pytest.mark.parametrize(
    ("args", "key"),
    [
        ({"index": {"device": "gpus"}}, "args.index.device"),
        ({"fetch": {"allow": ["no host"]}}, "fetch.allow"),
        ({"hosts": ["http://faces.example"]}, "args.hosts"),
        ({"observability": {"tracing": {"exporter": "jaeger"}}}, "tracing.exporter"),
        ({"snapshots": {"url": "nothing://x"}}, "snapshots"),
    ],
)
def test_build_app_names_the_key(tmp_path: Path, args: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_app({"data_dir": str(tmp_path), **args})
    assert key in str(refused.value)


def test_an_exporter_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observability, "OTLP_MODULE", "nothing")
    args = parse_service_args({"observability": {"tracing": {"exporter": "otlp"}}})
    with pytest.raises(ConfigError, match=r"args\.observability\.tracing\.exporter"):
        check_start(args, {})


def test_what_is_fine_gives_the_pipeline() -> None:
    assert check_start(ServiceArgs(), {}) == PipelineConfig()


def test_a_gpu_that_is_not_here() -> None:
    with pytest.raises(ConfigError, match="device gpu:7 is not here"):
        check_devices(ServiceArgs(), PipelineConfig(device="gpu:7"))
    with pytest.raises(ConfigError, match=r"args\.index\.device: device gpu:63"):
        check_devices(parse_service_args({"index": {"device": "gpu:63"}}), PipelineConfig())
    check_devices(ServiceArgs(), PipelineConfig(device="cpu"))


def test_gpus_that_ray_does_not_have() -> None:
    content = {
        "applications": [
            {
                "deployments": [
                    {"name": "Index"},
                    {"name": "Extractor", "ray_actor_options": {"num_gpus": 0.5}},
                ]
            }
        ]
    }
    with pytest.raises(ConfigError, match=r"^Extractor\.ray_actor_options\.num_gpus: 0\.5 of"):
        check_logical_gpus(content, 0)
    check_logical_gpus(content, 1)
