"""``face-serve audit``: what each command prints and writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from serve_app.errors import ConfigError, InvalidRequestError
from tests.index.audits import tamper
from tests.index.samples import build, embeddings

from .commands import Commands


@pytest.fixture
def staff(commands: Commands) -> Commands:
    """Chains staff of three rows and acme/guests of one."""
    store = commands.store()
    build(store, "staff", 3)
    build(store, "acme/guests", 1)
    for _ in range(2):
        store.add("staff", ["x"], embeddings(1), with_labels=False)
    store.close()
    return commands


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def forge(commands: Commands, *statements: str) -> None:
    engine = create_engine(f"sqlite:///{commands.data_dir / 'galleries.db'}")
    tamper(engine, statements)
    engine.dispose()


def test_verify(staff: Commands) -> None:
    assert staff.run("audit", "verify") == "4 rows verified: nothing was changed\n"
    assert staff.run("audit", "verify", "--gallery", "staff").startswith("3 rows")
    with pytest.raises(InvalidRequestError, match="no audit log"):
        staff.run("audit", "verify", "--gallery", "stafff")
    forge(staff, "UPDATE audit SET actor = 'nobody' WHERE chain = 'staff' AND number = 1")
    result = staff.invoke("audit", "verify")
    assert result.exit_code == 1
    assert result.output == "gallery staff: row 1 was changed, or the one before it written anew\n"
    assert staff.run("audit", "verify", "--gallery", "acme/guests").startswith("1 row ")


def test_verify_against_heads_that_were_kept(staff: Commands, tmp_path: Path) -> None:
    kept = tmp_path / "heads.json"
    said = staff.run("audit", "heads", "--output", str(kept))
    assert said == "2 heads written to heads.json\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [head["gallery"] for head in json.loads(staff.run("audit", "heads"))["heads"]] == [
        "acme/guests",
        "staff",
    ]
    arguments = ["audit", "verify", "--against", str(kept)]
    assert staff.run(*arguments) == "4 rows verified, 2 heads compared: nothing was changed\n"
    forge(
        staff,
        "DELETE FROM audit WHERE chain = 'staff' AND number = 2",
        "UPDATE audit_chain SET next = 2, digest = (SELECT digest FROM audit WHERE "
        "chain = 'staff' AND number = 1) WHERE chain = 'staff'",
    )
    assert staff.run("audit", "verify").startswith("3 rows verified")
    result = staff.invoke(*arguments)
    assert result.exit_code == 1
    assert "gallery staff: row 2 to 2 were cut off" in result.output


def test_verify_against_something_else(staff: Commands, tmp_path: Path) -> None:
    for number, content in enumerate(["", "{}", '{"heads": [{"gallery": "a"}]}', "[]"]):
        other = tmp_path / f"{number}.json"
        other.write_text(content)
        with pytest.raises(ConfigError, match="audit heads"):
            staff.run("audit", "verify", "--against", str(other))


def test_export(staff: Commands, tmp_path: Path) -> None:
    rows = lines(staff.run("audit", "export", "--output", "-"))
    assert [(row["gallery"], row["number"]) for row in rows] == [
        ("staff", 0),
        ("acme/guests", 0),
        ("staff", 1),
        ("staff", 2),
    ]
    assert rows[0]["action"] == "build"
    assert rows[0]["ids"] == "0-2"
    assert len(rows[0]["digest"]) == 64
    assert rows[0]["time"].endswith("+00:00")
    of_tenant = lines(staff.run("audit", "export", "--output", "-", "--tenant", "acme"))
    assert [row["tenant"] for row in of_tenant] == ["acme"]
    of_gallery = staff.run("audit", "export", "--output", "-", "--gallery", "staff")
    assert [row["number"] for row in lines(of_gallery)] == [0, 1, 2]
    assert staff.run("audit", "export", "--output", "-", "--since", "2999-01-01") == ""
    assert staff.run("audit", "export", "--output", "-", "--until", "2001-01-01T00:00:00") == ""
    file = tmp_path / "audit.jsonl"
    assert staff.run("audit", "export", "--output", str(file)) == "4 rows written to audit.jsonl\n"
    assert lines(file.read_text()) == rows
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidRequestError):
        staff.run("audit", "export", "--output", str(file))


def test_prune(staff: Commands) -> None:
    assert staff.run("audit", "prune", "--older-than", "365d", "--yes") == "0 rows removed\n"
    assert staff.invoke("audit", "prune", "--older-than", "0s").exit_code == 1  # nobody said yes
    said = staff.run("audit", "prune", "--older-than", "0s", "--yes")
    assert "4 rows removed\n" in said
    assert "--pruned 0s" in said
    result = staff.invoke("audit", "verify")
    assert result.exit_code == 1
    assert "gallery staff: row 0 to 2, the oldest, were removed" in result.output
    whole = "0 rows verified: nothing was changed\n"
    assert staff.run("audit", "verify", "--pruned", "0s") == whole
    heads = staff.data_dir / "heads.json"
    staff.run("audit", "heads", "--output", str(heads))
    assert json.loads(heads.read_text())["heads"][1]["first"] == 3
    assert "nothing was changed" in staff.run("audit", "verify", "--against", str(heads))
    with pytest.raises(ConfigError, match="--older-than"):
        staff.run("audit", "prune", "--older-than", "a year", "--yes")


def test_what_may_be_pruned_is_said_by_the_serve_file(staff: Commands, tmp_path: Path) -> None:
    kept = tmp_path / "heads.json"
    staff.run("audit", "heads", "--output", str(kept), "--gallery", "staff")
    content = json.loads(kept.read_text())
    content["heads"][0].update(rows=1, digest="00" * 32, at=1_000_000_000.0)  # of 2001
    kept.write_text(json.dumps(content))
    staff.run("audit", "prune", "--older-than", "0s", "--yes")
    serve = tmp_path / "serve.yaml"
    serve.write_text("applications: [{args: {audit: {keep_days: 30}}}]")
    arguments = ["audit", "verify", "--against", str(kept)]
    assert "nothing was changed" in staff.run(*arguments, "--config", str(serve))
    result = staff.invoke(*arguments)
    assert result.exit_code == 1
    assert "sooner than rows are kept here" in result.output
