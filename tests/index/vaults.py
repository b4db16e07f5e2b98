"""Encryption for tests of the store. A fixed master key, so that every store and process of a test
has the same. A module that sets ``PLAIN_AND_SEALED`` has its tests of ``vault`` run with and
without (``conftest``)."""

from __future__ import annotations

from serve_app.encryption import MasterKeys, Vault

VARIABLE = "FACE_SERVE_TEST_MASTER_KEY"
SOURCE = f"env:{VARIABLE}"
MASTER = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="


def new_vault(*masters: str) -> Vault:
    environ = {f"{VARIABLE}{n}": master for n, master in enumerate(masters or (MASTER,))}
    return Vault(MasterKeys.read([f"env:{name}" for name in environ], environ))
