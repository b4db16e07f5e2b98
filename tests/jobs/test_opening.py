from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.config import parse_service_args
from serve_app.errors import ConfigError
from serve_app.index.store import GalleryStore
from serve_app.jobs.opening import open_store
from tests.index.samples import build, labels_of
from tests.index.vaults import MASTER, OTHER, SOURCE, VARIABLE, new_vault


def test_a_job_reads_and_writes_with_the_services_master_key(tmp_path: Path) -> None:
    service = parse_service_args({"data_dir": str(tmp_path), "encryption": {"keys": [SOURCE]}})
    url = f"sqlite:///{tmp_path / 'galleries.db'}"
    made = GalleryStore(url, vault=new_vault())
    build(made)
    made.close()

    store = open_store(service, {VARIABLE: MASTER})
    assert labels_of(store) == {0: "0", 1: "1", 2: "2"}
    store.close()

    for environ in ({}, {VARIABLE: OTHER}):
        with pytest.raises(ConfigError, match=r"args\.encryption\.keys"):
            open_store(service, environ)
    with pytest.raises(ConfigError, match="is encrypted"):
        open_store(parse_service_args({"data_dir": str(tmp_path)}), {VARIABLE: MASTER})
