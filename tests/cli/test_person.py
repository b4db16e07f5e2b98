"""``face-serve people``: a label's data out of every gallery, and gone from it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.index.store import label_erasing
from tests.index.samples import DIMENSION, labels_of
from tests.index.spread import ANN, spread

from .commands import Commands


@pytest.fixture
def many(commands: Commands) -> Commands:
    store = commands.store()
    spread(store)
    store.close()
    return commands


def test_export(many: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.cli.person.PAGE", 2)
    held = json.loads(many.invoke("people", "export", ANN).stdout)
    assert (held["label"], held["tenant"]) == (ANN, "")
    assert [(one["gallery"], one["where"], one["id"]) for one in held["templates"]] == [
        ("staff", "served", 3),
        ("guests", "served", 1),
        ("guests", "served", 3),
        ("third", "previous", 0),
        ("fourth", "staged", 0),
    ]
    assert [(row["job"], row["position"]) for row in held["rows"]] == [
        ("one", 0),
        ("three", 0),
        ("three", 1),
    ]
    assert "embedding" not in held["templates"][0]
    assert held["templates"][0]["added"].endswith("+00:00")
    file = tmp_path / "ann.json"
    many.run("people", "export", ANN, "--tenant", "acme", "--embeddings", "--output", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    templates = json.loads(file.read_text())["templates"]
    assert [one["gallery"] for one in templates] == ["acme/staff", "acme/staff"]
    assert len(base64.b64decode(templates[0]["embedding"])) == 4 * DIMENSION


def test_erase(many: Commands) -> None:
    assert many.invoke("people", "erase", ANN).exit_code == 1  # nobody said yes
    said = many.run("people", "erase", ANN, "--yes")
    assert [line for line in said.splitlines() if line.endswith("erased")] == [
        "staff: 1 served template erased",
        "guests: 2 served templates erased",
        "third: 1 previous template erased",
        "fourth: 1 staged template erased",
        "fourth: 2 rows of a job's input erased",
        "third: 1 row of a job's input erased",
    ]
    assert "three" in said
    assert ANN not in said
    assert "nothing was left to erase\n" in many.run("people", "erase", ANN, "--yes")
    store = many.store()
    assert ANN in labels_of(store, "acme/staff").values()
    store.close()
    many.run("people", "erase", ANN, "--tenant", "acme", "--yes")
    assert "acme/staff,build,add,erase_label" in chains(many)


@pytest.mark.parametrize("command", [["export", ANN], ["erase", ANN, "--yes"]])
def test_whose_galleries_are_looked_at(many: Commands, command: list[str]) -> None:
    for wrong, said in (("acmee", "no tenant acmee"), ("a/b", "a tenant's name")):
        with pytest.raises(InvalidRequestError, match=said):
            many.run("people", *command, "--tenant", wrong)
    said = many.invoke("people", *command).stderr
    assert "looking at galleries of no tenant only; not looked at: acme\n" in said
    said = many.invoke("people", *command, "--tenant", "acme").stderr
    assert "galleries of tenant acme only; not looked at: those of no tenant\n" in said


def chains(commands: Commands) -> list[str]:
    rows = [
        json.loads(line) for line in commands.run("audit", "export", "--output", "-").splitlines()
    ]
    keys = {row["gallery"] for row in rows}
    return [
        ",".join([key, *(row["action"] for row in rows if row["gallery"] == key)]) for key in keys
    ]


def test_not_everywhere_yet(many: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise UnavailableError("broken off")

    monkeypatch.setattr(label_erasing, "erase_in_gallery", fail)
    result = many.invoke("people", "erase", ANN, "--yes")
    assert result.exit_code == 1
    assert "not erased in staff, guests, third, fourth: run it again" in result.output
