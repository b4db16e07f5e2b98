from __future__ import annotations

import json
import time

import pytest

from serve_app.access.keys import parse_token
from serve_app.access.secrets import verify
from serve_app.encryption import MasterKeys, Vault
from serve_app.errors import ConfigError
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.access_store import AccessStore
from serve_app.types import Metric
from tests.cli.commands import Commands
from tests.index.samples import embeddings

EVERY_SCOPE = ("--scope", "read", "--scope", "enrol", "--scope", "admin")


def create(commands: Commands, *words: str) -> str:
    """The token."""
    return token_in(commands.run("keys", "create", "--name", "terminal", *words))


def token_in(output: str) -> str:
    """On a line of its own."""
    assert "shown this once" in output
    (token,) = [line for line in output.splitlines() if line.startswith("fs_")]
    return token


def listed(commands: Commands, *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(commands.run("keys", "list", "--json", *words))
    return found


def id_of(token: str) -> str:
    parsed = parse_token(token)
    assert parsed is not None
    return parsed[0]


def test_a_key_is_made_and_only_its_hash_is_kept(commands: Commands) -> None:
    token = create(commands, *EVERY_SCOPE, "--tenant", "acme", "--expires", "90d")
    (key,) = listed(commands)
    assert key["id"] == id_of(token)
    assert (key["name"], key["tenant"], key["state"]) == ("terminal", "acme", "live")
    assert key["scopes"] == ["admin", "enrol", "read"]
    store = commands.store()
    (kept,) = AccessStore(store).listed()
    store.close()
    secret = token.split("_", 2)[2]
    assert verify(secret, kept.secret)
    assert secret not in kept.secret
    assert kept.expires_at == pytest.approx(time.time() + 90 * 86_400, abs=60)
    for file in commands.data_dir.iterdir():
        if file.is_file():
            assert secret.encode() not in file.read_bytes()


def test_keys_are_listed_without_themselves(commands: Commands) -> None:
    tokens = [create(commands, "--scope", "read", "--tenant", name) for name in ("acme", "other")]
    shown = commands.run("keys", "list")
    for token in tokens:
        assert id_of(token) in shown
        assert token.split("_", 2)[2] not in shown
    assert [key["tenant"] for key in listed(commands, "--tenant", "other")] == ["other"]


def test_a_revoked_key_stays_in_the_list(commands: Commands) -> None:
    key_id = id_of(create(commands, "--scope", "read"))
    for _ in range(2):
        assert "revoked" in commands.run("keys", "revoke", key_id)
    assert [key["state"] for key in listed(commands)] == ["revoked"]


def test_a_rotated_key_has_a_successor_at_once(commands: Commands) -> None:
    old = create(commands, "--scope", "read", "--requests-per-s", "5", "--tenant", "acme")
    new = token_in(commands.run("keys", "rotate", id_of(old)))
    assert {key["id"]: key["state"] for key in listed(commands)} == {
        id_of(old): "expired",
        id_of(new): "live",
    }
    (made,) = [key for key in listed(commands) if key["id"] == id_of(new)]
    assert (made["tenant"], made["scopes"]) == ("acme", ["read"])
    assert json.loads(str(made["quota"])) == {"requests_per_s": 5.0}
    grace = token_in(commands.run("keys", "rotate", id_of(new), "--grace", "10m"))
    assert [key["state"] for key in listed(commands)].count("live") == 2
    assert id_of(grace) != id_of(new)


def test_a_quota_is_set_whole(commands: Commands) -> None:
    key_id = id_of(create(commands, "--scope", "read", "--faces", "10", "--galleries", "2"))
    assert "requests per s 2.5" in commands.run("keys", "quota", key_id, "--requests-per-s", "2.5")
    (key,) = listed(commands)
    assert json.loads(str(key["quota"])) == {"requests_per_s": 2.5}


def test_tenants_are_listed_with_what_they_have(commands: Commands) -> None:
    create(commands, "--scope", "read", "--tenant", "acme")
    commands.run("tenants", "quota", "acme", "--requests-per-s", "100", "--faces", "1000")
    (tenant,) = json.loads(commands.run("tenants", "list", "--json"))
    assert (tenant["tenant"], tenant["galleries"], tenant["keys"]) == ("acme", 0, 1)
    assert tenant["quota"] == "requests per s 100, faces 1000"
    assert "acme" in commands.run("tenants", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("keys", "create", "--name", "n", "--scope", "read", "--tenant", "a/b"),
            "a tenant's name",
        ),
        (("keys", "create", "--name", "n", "--scope", "read", "--expires", "soon"), "--expires"),
        (("keys", "create", "--name", "n", "--scope", "read", "--faces", "-1"), "faces"),
        (("keys", "create", "--name", "n", "--scope", "write"), "write"),
        (("keys", "create", "--name", "n"), "--scope"),
        (("keys", "revoke", "ffffffffffff"), "does not exist"),
        (("keys", "rotate", "ffffffffffff"), "does not exist"),
        (("tenants", "quota", "../x", "--faces", "1"), "a tenant's name"),
    ],
)
def test_mistakes_are_told(commands: Commands, words: tuple[str, ...], said: str) -> None:
    commands.store().close()
    result = commands.invoke(*words)
    told = str(result.exception) if result.exit_code == 1 else result.output
    assert result.exit_code in (1, 2)  # an error of ours, which ``main`` tells, or typer's own
    assert said in told


def test_keys_are_revoked_where_no_master_key_is_to_be_had(commands: Commands) -> None:
    """The database is encrypted, and nothing here says with what."""
    key_id = id_of(create(commands, "--scope", "read"))
    vault = Vault(MasterKeys.read(("env:MASTER",), {"MASTER": "A" * 43 + "="}))
    store = GalleryStore(sqlite_url(commands.data_dir / "galleries.db"), vault=vault)
    store.create("staff", "Flat", Metric.IP, ["a"], embeddings(1), with_labels=False)
    store.close()
    assert isinstance(commands.invoke("gallery", "list").exception, ConfigError)
    commands.run("keys", "revoke", key_id)
    assert [key["state"] for key in listed(commands)] == ["revoked"]
    assert "staff" not in commands.run("tenants", "list")


def test_a_successor_may_live_longer(commands: Commands) -> None:
    old = create(commands, "--scope", "read", "--expires", "1h")
    same = token_in(commands.run("keys", "rotate", id_of(old), "--grace", "1h"))
    longer = token_in(commands.run("keys", "rotate", id_of(same), "--expires", "90d"))
    (made,) = [key for key in listed(commands) if key["id"] == id_of(longer)]
    (first,) = [key for key in listed(commands) if key["id"] == id_of(old)]
    assert str(made["expires"]) > str(first["expires"])
