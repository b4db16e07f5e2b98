from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.deployments.serve_file import (
    load_serve_file,
    logical_cpus,
    on_one_machine,
    our_applications,
)
from serve_app.errors import ConfigError

ROOT = Path(__file__).parents[2]
LOCAL: dict[str, Any] = yaml.safe_load((ROOT / "configs/serve/local.yaml").read_text("utf-8"))


def load(content: object, directory: Path, **options: Any) -> dict[str, Any]:
    file = directory / "serve.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_serve_file(file, **options)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "configs/serve").glob("*.yaml")), ids=lambda f: f.name
)
def test_every_file_of_ours_is_right(file: Path) -> None:
    assert logical_cpus(load_serve_file(file)) > 0


def test_the_small_machine_has_room_for_the_local_file() -> None:
    assert logical_cpus(LOCAL) <= 2


STAGES = {
    f"{file.stem}-{stage['name']}": (stages[0], stage)
    for file in sorted((ROOT / "configs/serve").glob("*.yaml"))
    for stages in [yaml.safe_load(file.read_text("utf-8"))["applications"][0]["deployments"]]
    for stage in stages
}
"""The ingress of each of our files with one of its stages, itself among them."""
CALLED = [name for name, (ingress, stage) in STAGES.items() if stage is not ingress]
SCALING = [name for name, (_, stage) in STAGES.items() if "autoscaling_config" in stage]


@pytest.mark.parametrize("name", CALLED)
def test_slots_reach_every_replica(name: str) -> None:
    """And where a stage scales by itself, calls enough are let through for Ray to ask for all."""
    ingress, stage = STAGES[name]
    calls = ingress["user_config"][stage["name"].lower()]["slots"] * fewest(ingress)
    scaling = stage.get("autoscaling_config")
    if scaling is None:
        assert calls >= stage["num_replicas"]
    else:
        assert calls >= scaling["max_replicas"] * scaling["target_ongoing_requests"]


@pytest.mark.parametrize("name", SCALING)
def test_no_autoscaling_decides_before_it_sees_what_it_did(name: str) -> None:
    _, stage = STAGES[name]
    scaling = stage["autoscaling_config"]
    assert scaling["upscale_delay_s"] >= scaling["look_back_period_s"]
    assert scaling["downscale_delay_s"] >= 4 * scaling["upscale_delay_s"]
    assert 2 * scaling["target_ongoing_requests"] <= stage["max_ongoing_requests"]
    assert scaling["min_replicas"] >= 2  # one may die


def fewest(deployment: Any) -> int:
    scaling = deployment.get("autoscaling_config", {})
    return int(scaling.get("min_replicas") or deployment["num_replicas"])


@pytest.mark.parametrize(
    "file", sorted((ROOT / "configs/serve").glob("*.yaml")), ids=lambda f: f.name
)
def test_our_own_refusals_come_before_rays(file: Path) -> None:
    """Ray's know nothing of what waits, and are no envelope."""
    content = load_serve_file(file)
    for application in our_applications(content):
        (ingress,) = [d for d in application["deployments"] if d["name"] == "Ingress"]
        most = ingress["user_config"]["admission"]["max_in_flight"]
        assert ingress["max_ongoing_requests"] > most
        assert ingress["max_queued_requests"] > most
        assert ingress["backpressure_config"]["status_code"] == 429
        stages = {d["name"]: d for d in application["deployments"]}
        for name in ("Detector", "Extractor", "Index"):
            batching = ingress["user_config"][name.lower()]
            stage = stages[name]
            if "autoscaling_config" in ingress or "autoscaling_config" in stage:
                continue  # its slots follow from what Ray scales by: the tests above
            # Each ingress replica may send all its batches to one replica of a stage.
            sent = ingress["num_replicas"] * batching["slots"]
            assert sent <= stage["max_ongoing_requests"]
            assert batching["slots"] >= stage["num_replicas"]


@pytest.mark.parametrize(
    ("given", "logs"),
    [(None, False), ({"log_level": "DEBUG"}, False), ({"enable_access_log": True}, True)],
)
def test_rays_access_log_is_off_unless_the_file_asks_for_it(
    tmp_path: Path, given: dict[str, Any] | None, logs: bool
) -> None:
    (application,) = LOCAL["applications"]
    content = LOCAL | {"applications": [application | {"logging_config": given}]}
    (loaded,) = load(content, tmp_path)["applications"]
    assert loaded["logging_config"]["enable_access_log"] is logs
    assert loaded["logging_config"].get("log_level") == (given or {}).get("log_level")


def test_rays_own_commands_find_it_off_in_every_file_of_ours() -> None:
    for file in (ROOT / "configs/serve").glob("*.yaml"):
        (application,) = yaml.safe_load(file.read_text("utf-8"))["applications"]
        assert application["logging_config"]["log_level"] == "WARNING"


def test_a_relative_directory_of_traces_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (application,) = LOCAL["applications"]
    tracing = {"exporter": "file", "path": "traces"}
    args = application["args"] | {"observability": {"tracing": tracing, "request_log": True}}
    (loaded,) = load(LOCAL | {"applications": [application | {"args": args}]}, tmp_path)[
        "applications"
    ]
    assert loaded["args"]["observability"] == {
        "tracing": tracing | {"path": str(tmp_path / "traces")}, "request_log": True
    }  # fmt: skip


def test_overrides_and_absolute_paths(tmp_path: Path) -> None:
    content = load(LOCAL, tmp_path, port=9000, data_dir=Path("elsewhere"))
    assert content["http_options"]["port"] == 9000
    data_dir = content["applications"][0]["args"]["data_dir"]
    assert Path(data_dir) == Path("elsewhere").absolute()


MISTAKES: list[tuple[list[str | int], str, str]] = [
    ([], "htp_options", "did you mean http_options"),
    (["http_options"], "prot", "did you mean port"),
    (["applications", 0], "import_pth", "did you mean import_path"),
    (["applications", 0, "deployments", 1], "num_replica", "did you mean num_replicas"),
    (["applications", 0, "deployments", 1, "ray_actor_options"], "num_cpu", "num_cpus"),
    (["applications", 0, "args"], "datadir", "did you mean data_dir"),
    (["applications", 0, "args"], "limts", "did you mean limits"),
    (["applications", 0, "deployments", 0, "user_config"], "detectr", "did you mean detector"),
    (["applications", 0, "deployments", 1, "user_config"], "maxcost", "did you mean max_cost"),
]


@pytest.mark.parametrize(("place", "key", "message"), MISTAKES)
def test_misspelt_keys_are_refused(
    tmp_path: Path, place: list[str | int], key: str, message: str
) -> None:
    content: Any = copy.deepcopy(LOCAL)
    target = content
    for step in place:
        target = target[step]
    target[key] = 1
    with pytest.raises(ConfigError, match=message) as refusal:
        load(content, tmp_path)
    assert key in str(refusal.value)


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every key below ``value``."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, content in inner:
        if isinstance(value, dict):
            yield (*place, key)
        if isinstance(content, dict | list):
            yield from places(content, (*place, key))


@pytest.mark.parametrize("place", list(places(LOCAL)), ids=lambda place: ".".join(map(str, place)))
def test_each_key_of_our_file_is_refused_if_misspelt(
    tmp_path: Path, place: tuple[str | int, ...]
) -> None:
    content: Any = copy.deepcopy(LOCAL)
    target = content
    *above, key = place
    for step in above:
        target = target[step]
    misspelt = f"{str(key)[0]}{key}"
    target[misspelt] = target.pop(key)
    with pytest.raises(ConfigError, match=rf"{misspelt} is not a known key; did you mean {key}\?"):
        load(content, tmp_path)


def test_an_unknown_deployment_is_refused(tmp_path: Path) -> None:
    content = copy.deepcopy(LOCAL)
    content["applications"][0]["deployments"][1]["name"] = "Detectr"
    with pytest.raises(ConfigError, match="did you mean Detector"):
        load(content, tmp_path)


@pytest.mark.parametrize("value", [-1, "many", 1.5])
def test_bad_values_are_refused_by_name(tmp_path: Path, value: object) -> None:
    content = copy.deepcopy(LOCAL)
    content["applications"][0]["deployments"][1]["num_replicas"] = value
    with pytest.raises(ConfigError, match="num_replicas"):
        load(content, tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["http_options"], None),
        (["http_options"], [1]),
        (["applications"], None),
        (["applications"], [3]),
        (["applications"], {"face": {}}),
        (["applications", 0, "args"], [1]),
        (["applications", 0, "args"], "text"),
        (["applications", 0, "deployments"], None),
        (["applications", 0, "deployments"], [3]),
        (["applications", 0, "deployments"], {"Ingress": {}}),
        (["applications", 0, "deployments", 0, "name"], ["Ingress"]),
        (["applications", 0, "deployments", 0, "user_config"], "text"),
        (["applications", 0, "deployments", 0, "ray_actor_options"], None),
        (["applications", 0, "deployments", 0, "ray_actor_options", "num_cpus"], "many"),
    ],
)
def test_values_of_another_shape_are_refused(
    tmp_path: Path, place: list[str | int], value: object
) -> None:
    content: Any = copy.deepcopy(LOCAL)
    target = content
    *above, key = place
    for step in above:
        target = target[step]
    target[key] = value
    with pytest.raises(ConfigError):
        load(content, tmp_path, port=9000)


def test_without_http_options_the_port_can_be_given_still(tmp_path: Path) -> None:
    content = {key: value for key, value in LOCAL.items() if key != "http_options"}
    content["applications"][0]["args"]["access"] = {"anyone": True}  # Ray's own host is every one
    assert load(content, tmp_path, port=9000)["http_options"] == {"port": 9000}


def test_a_relative_pipeline_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("rec_topk: 3")
    content = copy.deepcopy(LOCAL)
    content["applications"][0]["args"]["pipeline"] = "mine.yaml"
    args = load(content, tmp_path)["applications"][0]["args"]
    assert args["pipeline"] == str(tmp_path / "mine.yaml")
    assert args["data_dir"] == str(tmp_path / "data")


@pytest.mark.parametrize(
    ("scaling", "cpus"),
    [
        ({"num_replicas": 3}, 1.2),
        ({"num_replicas": None}, 0.4),
        ({"num_replicas": "auto", "autoscaling_config": {"max_replicas": 5}}, 2.0),
        ({"num_replicas": 2, "ray_actor_options": {}}, 2.0),
        ({"num_replicas": 2, "ray_actor_options": {"num_cpus": None}}, 2.0),
    ],
)
def test_logical_cpus(scaling: dict[str, Any], cpus: float) -> None:
    deployment = {"name": "Detector", "ray_actor_options": {"num_cpus": 0.4}} | scaling
    content = {"applications": [{"deployments": [deployment]}, {}]}
    assert logical_cpus(content) == pytest.approx(cpus)


def test_one_machine_takes_every_replica() -> None:
    file = ROOT / "configs/serve/cluster.yaml"
    spread = yaml.safe_load(file.read_text("utf-8"))
    stages = spread["applications"][0]["deployments"]
    assert all(stage["num_replicas"] > stage["max_replicas_per_node"] for stage in stages)
    packed = on_one_machine(spread)
    for stage in stages:
        del stage["max_replicas_per_node"]
    assert packed == spread


def test_a_pipeline_that_is_not_there_fails_at_start(tmp_path: Path) -> None:
    content = copy.deepcopy(LOCAL)
    content["applications"][0]["args"]["pipeline"] = "nowhere.yaml"
    with pytest.raises(ConfigError, match=r"nowhere\.yaml can't be read"):
        load(content, tmp_path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_serve_file(tmp_path / "none.yaml")
    for text, message in (
        ("", "empty"),
        ("a: [", "not valid YAML"),
        ("- 1", "no mapping"),
        ("\udcff", "not valid YAML"),
    ):
        file = tmp_path / "bad.yaml"
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(ConfigError, match=message):
            load_serve_file(file)


def test_each_shard_has_its_deployment(tmp_path: Path) -> None:
    content: Any = copy.deepcopy(LOCAL)
    content["applications"][0]["args"]["shards"] = 2
    with pytest.raises(ConfigError, match=r"Index is not known; did you mean Index[01]"):
        load(content, tmp_path)
    deployments = content["applications"][0]["deployments"]
    (index,) = [one for one in deployments if one["name"] == "Index"]
    deployments.remove(index)
    deployments += [{**index, "name": name} for name in ("Index0", "Index1")]
    load(content, tmp_path)


def test_relative_databases_snapshots_and_inputs_become_absolute(tmp_path: Path) -> None:
    content: Any = copy.deepcopy(LOCAL)
    content["applications"][0]["args"] |= {
        "database_url": "sqlite:///here.db",
        "snapshots": {"url": "snapshots", "keep": 3},
        "jobs": {"inputs": ["people", "s3://bucket"], "extractors": 3},
    }
    args = load(content, tmp_path)["applications"][0]["args"]
    assert args["database_url"] == f"sqlite:///{Path('here.db').absolute()}"
    assert args["snapshots"] == {"url": str(Path("snapshots").absolute()), "keep": 3}
    inputs = [str(Path("people").absolute()), "s3://bucket"]
    assert args["jobs"] == {"inputs": inputs, "extractors": 3}
