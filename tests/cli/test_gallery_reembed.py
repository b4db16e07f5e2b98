"""``face-serve gallery reembed``: the table of the old images, and the job that is sent."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.cli.job_options import request_of
from serve_app.errors import GalleryNotFoundError, InvalidRequestError
from serve_app.index.store.job_store import JobStore
from tests.index.samples import build
from tests.jobs.samples import HOLDER, JOB, begun, request, rows

from .commands import Commands
from .test_gallery_build import Cluster, cluster
from .test_job_options import parsed

__all__ = ["cluster"]


@pytest.fixture
def staff(commands: Commands) -> Commands:
    """Five templates with their sources."""
    store = commands.store()
    jobs = JobStore(store)
    begun(jobs, request(keep_sources=True), index_type="IVF")
    jobs.stage(JOB, HOLDER, rows(0, 6, {2}), keep_sources=True)
    jobs.publish(JOB, HOLDER, "done")
    store.close()
    return commands


def ids(table: Path) -> list[str]:
    with table.open(encoding="utf-8", newline="") as lines:
        return [row["id"] for row in csv.DictReader(lines)]


def moment(commands: Commands) -> str:
    store = commands.store()
    info = store.entry("staff").info
    store.close()
    return f"{info.generation}@{info.seq}"


def tables(commands: Commands) -> list[Path]:
    return sorted((commands.data_dir / "jobs").glob("*"))


def reembed(commands: Commands, *more: str) -> tuple[int, str]:
    result = commands.invoke("gallery", "reembed", "staff", "--pipeline", "new.yaml", *more)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_what_is_sent(staff: Commands, cluster: type[Cluster]) -> None:
    served = moment(staff)
    code, output = reembed(staff, "--job-id", "monday", "--address", "http://there:8265")
    assert (code, output) == (0, "5 images of gallery staff\n3 of 3 rows\n")
    ((address, words, name),) = cluster.sent
    assert (address, name) == ("http://there:8265", "monday")
    assert words[-4:] == ["--job-id", "monday", "--data-dir", str(staff.data_dir)]
    assert parsed(words[1:]) == request_of(
        key="staff", input=str(staff.data_dir / "jobs" / "monday-sources.csv"), kind="table",
        mode="replace", pipeline=str(Path.cwd() / "new.yaml"), index_type="IVF", metric="IP",
        max_rejected="0", keep_sources=True, in_place_of=served,
    )  # fmt: skip
    assert tables(staff) == [], "a table of a job that is done is of no use"


def test_a_job_that_goes_on_has_the_table_it_began_with(
    staff: Commands, cluster: type[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "code", 3)
    assert reembed(staff, "--job-id", "monday")[0] == 3
    (table,) = tables(staff)
    assert ids(table) == ["0", "1", "2", "3", "4"]
    asked = parsed(cluster.sent[0][1][1:])
    store = staff.store()
    JobStore(store).submit("monday", asked.key, asked.mode, asked.text(), asked.digest())
    store.remove("staff", [0], with_labels=False)
    store.close()
    assert "images of gallery" not in reembed(staff, "--job-id", "monday")[1]
    assert ids(table) == ["0", "1", "2", "3", "4"]
    assert cluster.sent[0] == cluster.sent[1]


@pytest.mark.parametrize("code", [0, 2])
def test_no_paths_are_left_of_a_job_that_is_over(
    code: int, staff: Commands, cluster: type[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "code", code)
    assert reembed(staff)[0] == code
    assert tables(staff) == []


def test_another_request_of_the_same_name_takes_nothing_from_the_first(
    staff: Commands, cluster: type[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "code", 3)
    reembed(staff, "--job-id", "monday")
    asked = parsed(cluster.sent[0][1][1:])
    store = staff.store()
    JobStore(store).submit("monday", asked.key, asked.mode, asked.text(), asked.digest())
    store.close()
    monkeypatch.setattr(cluster, "code", 2)  # refused: the job of this id is another
    assert reembed(staff, "--job-id", "monday", "--model", "other.yaml")[0] == 2
    assert len(tables(staff)) == 1


def test_the_embedded_pipeline_and_some_that_may_be_lost(
    staff: Commands, cluster: type[Cluster]
) -> None:
    reembed(staff, "--pipeline", "face_recognition", "--max-rejected", "5%")
    ((_, words, _),) = cluster.sent
    asked = parsed(words[1:])
    assert (asked.pipeline, asked.max_rejected) == ("face_recognition", "5%")


def test_refused_without_sources(commands: Commands, cluster: type[Cluster]) -> None:
    store = commands.store()
    build(store, "staff", 3)
    store.close()
    with pytest.raises(InvalidRequestError, match="--keep-sources"):
        reembed(commands)
    with pytest.raises(GalleryNotFoundError):
        commands.run("gallery", "reembed", "nobody", "--pipeline", "new.yaml")
    assert cluster.sent == []
    assert tables(commands) == []


def test_ray_is_imported_after_it_was_told_its_token() -> None:
    """It reads its environment when it is imported."""
    code = (
        "import sys, serve_app.cli.gallery_reembed, serve_app.jobs.sources;"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
