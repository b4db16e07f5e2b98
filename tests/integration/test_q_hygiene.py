"""Nothing biometric, no key and no URL with credentials in anything that the service writes: marked
data goes through every operation, right and wrong, and all that was written is searched.

Written is: Ray's and our own logs, the request log, traces, metrics, the dashboard (actors, tasks,
jobs, Serve's details with the arguments of replicas), every refusal that was answered.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.config.encryption import open_vault
from serve_app.index.store import GalleryStore, sqlite_url
from tests.api.every_operation import Call, Examples, every_operation
from tests.integration.guarded import create, master_key
from tests.integration.marks import Marks
from tests.integration.pictures import gallery_image, scene
from tests.integration.service import Service

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

LABEL, GALLERY, FILE = "zyx-marked-label", "zyx-marked-gallery", "zyx-marked-file"
PASSWORD, USER = "zyx-marked-password", "zyx-marked-user"
JOB = "hygiene"  # a job's id is how operators find its actor and its log
URL = f"http://{USER}:{PASSWORD}@127.0.0.1:9/{FILE}.png?token={PASSWORD}"
FRIENDS = 3
EXPECTED = {"total": 2, "done": 2, "accepted": 1, "rejected": 1, "duplicates": 0}
DASHBOARD = (
    "/api/v0/actors?detail=1&limit=10000",
    "/api/v0/tasks?detail=1&limit=10000",
    "/api/v0/workers?detail=1&limit=10000",
    "/api/v0/jobs?detail=1&limit=10000",
    "/api/v0/objects?detail=1&limit=10000",
    "/api/v0/placement_groups?detail=1",
    "/api/v0/runtime_envs?detail=1",
    "/api/serve/applications/",
    "/api/jobs/",
    "/nodes?view=summary",
)


@pytest.fixture(scope="module")
def inputs(guarded: Service) -> Iterator[Path]:
    """Of a job: a folder for a person, one picture good, one that shows nothing."""
    people = guarded.directory / "inputs" / "people"
    person = people / LABEL
    person.mkdir(parents=True)
    (person / f"{FILE}.png").write_bytes(base64.b64decode(gallery_image(7)))
    (person / f"{FILE}-2.png").write_bytes(b"no picture")
    yield people
    shutil.rmtree(people)


@pytest.fixture(scope="module")
def marks(guarded: Service, inputs: Path) -> Marks:
    """Everything was asked when it is there."""
    image = gallery_image(FRIENDS)
    headers = create(guarded, "--scope", "read", "--scope", "enrol", "--scope", "admin")
    token = headers["Authorization"].split()[1]
    examples = Examples(GALLERY, JOB, LABEL, image, str(inputs))
    document = guarded.get("/openapi.json").json()
    calls = [_appending(call) for call in every_operation(document, examples)]
    assert len(calls) >= 15
    first = [call for call in calls if call.method != "DELETE"]
    for call in first:
        assert _ask(guarded, call, headers).is_success, call
    assert _job_done(guarded, headers)["counts"] == EXPECTED
    for call in calls:
        for wrong in _wrong(call):
            _check_refusal(_ask(guarded, wrong, headers))
        for header in (f"Bearer {token[:-1]}{'A' if token[-1] != 'A' else 'B'}", f"Basic {token}"):
            refused = _ask(guarded, call, {"Authorization": header})
            assert refused.status_code == 401
            _check_refusal(refused)
    probe = {"image": scene(FRIENDS), "indexKey": GALLERY, "visualize": True, "topk": 1}
    guarded.post("/face-recognition-infer", probe, headers)
    embedding = _embedding_of(guarded, headers, examples)
    for call in _removing(calls):
        assert _ask(guarded, call, headers).is_success, call
    time.sleep(5)  # logs, traces and metrics are written by and by
    return Marks.of(
        {
            "label": LABEL,
            "gallery": GALLERY,
            "file": FILE,
            "password": PASSWORD,
            "user": USER,
            "API key": token.split("_", 2)[2],
        },
        {"picture": base64.b64decode(image), "embedding": embedding},
    )


def _appending(call: Call) -> Call:
    """A job adds to the gallery that was built before."""
    if call.template != "/v1/jobs" or call.body is None:
        return call
    return _with(call, {**call.body, "mode": "append"})


def _removing(calls: list[Call]) -> list[Call]:
    """The gallery itself at the very end."""
    removing = [call for call in calls if call.method == "DELETE"]
    return sorted(removing, key=lambda call: call.template == "/v1/galleries/{key}")


def _job_done(guarded: Service, headers: dict[str, str]) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while True:
        job: dict[str, Any] = guarded.get(f"/v1/jobs/{JOB}", headers).json()["result"]
        if job["state"] in ("done", "failed"):
            assert job["state"] == "done", job
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.3)


def _ask(guarded: Service, call: Call, headers: dict[str, str]) -> httpx.Response:
    return httpx.request(
        call.method,
        guarded.url + call.path,
        json=call.body,
        headers=headers,
        timeout=60,
        trust_env=False,
    )


def _wrong(call: Call) -> Iterator[Call]:
    """The same with each field wrong in turn: of another type, misspelt, too long, and images by a
    URL with credentials."""
    if call.body is None:
        return
    for name, value in call.body.items():
        for bad in ({LABEL: LABEL}, [[LABEL]], LABEL * 500, URL, [URL], f"{LABEL}\x00"):
            yield _with(call, {**call.body, name: bad})
        yield _with(call, {**call.body, f"{name}{LABEL}": value})
    if "imageLabelPairs" in call.body:
        pairs = [{"image": image, "label": LABEL} for image in (URL, LABEL, "aGFsbG8=")]
        yield _with(call, {**call.body, "imageLabelPairs": pairs})


def _with(call: Call, body: dict[str, Any]) -> Call:
    return Call(call.method, call.template, call.path, body, call.needed)


def _check_refusal(answer: httpx.Response) -> None:
    """A refusal holds nothing of what was sent but the gallery's key."""
    if answer.status_code >= 400:
        for mark in (LABEL, PASSWORD, USER, FILE):
            assert mark not in answer.text, (answer.status_code, answer.text[:300])


def _embedding_of(guarded: Service, headers: dict[str, str], examples: Examples) -> bytes:
    """As it is stored, of the picture that was enrolled."""
    body = {**examples.body("BuildRequest"), "indexKey": "hygiene-embedding"}
    assert guarded.post("/face-recognition-index-build", body, headers).status_code == 200
    vault = open_vault((f"file:{master_key(guarded.directory)}",), {})
    store = GalleryStore(sqlite_url(guarded.data_dir / "galleries.db"), vault=vault)
    rows = store.page(store.entry("hygiene-embedding").info, -1, 1)
    store.close()
    embedding: bytes = rows.vectors[0].astype("<f4").tobytes()
    return embedding


def test_the_search_finds_what_is_there(marks: Marks, tmp_path: Path) -> None:
    """Of every mark in every form: a search that finds nothing would always be content."""
    for name, forms in marks.forms.items():
        for number, form in enumerate(forms):
            assert len(form) >= 12, (name, form)
            file = tmp_path / f"{name}-{number}"
            file.write_bytes(b"x" * 100 + form + b"y" * 100)
            assert f"{name}: {file.name}" in list(marks.found_below(tmp_path, set()))
    image = base64.b64decode(gallery_image(FRIENDS))
    for shift in range(3):
        written = base64.b64encode(b"z" * shift + image)
        assert "picture" in marks.found_in(b'{"image": "' + written + b'"}')


def test_no_file_holds_any_of_it(guarded: Service, marks: Marks) -> None:
    """Logs and traces, nor the database and the snapshots, which are encrypted; but for what a job
    was given and its report, and for the keys of galleries, by which all this is found."""
    data = guarded.data_dir
    leave = {data / "jobs", guarded.directory / "inputs"}
    written = [file for file in guarded.directory.rglob("*.log") if file.stat().st_size]
    assert len(written) >= 10, "the logs are somewhere else"
    assert any((data / "traces").iterdir()), "nothing was traced"
    found = set(marks.found_below(guarded.directory, leave))
    named = {one for one in found if "galleries.db" in one or "manifest.json" in one}
    assert found - named == set()
    assert {one.partition(":")[0] for one in named} <= {"gallery"}


def test_no_metric_holds_any_of_it(guarded: Service, marks: Marks) -> None:
    found = b""
    for name in ("metrics", "stats"):
        reply = httpx.get(f"http://127.0.0.1:{guarded.ports[name]}/metrics", trust_env=False)
        found += reply.content
    for file in guarded.directory.rglob("prom_metrics_service_discovery.json"):
        for group in json.loads(file.read_text()):
            for target in group["targets"]:
                found += httpx.get(f"http://{target}/metrics", trust_env=False).content
    assert b"face_" in found, "the service's own metrics are somewhere else"
    assert marks.found_in(found) == []


def test_nothing_of_it_is_shown_by_rays_dashboard(guarded: Service, marks: Marks) -> None:
    ray = guarded.data_dir / "ray"
    address = (ray / "dashboard").read_text().strip()
    headers = {"Authorization": f"Bearer {(ray / 'auth_token').read_text().strip()}"}
    shown = {}
    for path in DASHBOARD:
        reply = httpx.get(address + path, headers=headers, timeout=60, trust_env=False)
        shown[path] = (reply.status_code, marks.found_in(reply.content))
    assert {path: status for path, (status, _) in shown.items() if status != 200} == {}
    assert {path: found for path, (_, found) in shown.items() if found} == {}
