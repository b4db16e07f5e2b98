"""How each kind of store is connected to: fsspec's file systems, with time limits of our own.

Credentials, regions and endpoints come from the environment, as the clients read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import fsspec

from serve_app.jobs.inputs.places import LOCAL

PACKAGES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}
"""By scheme: the package that reads it, and the extra that installs it."""


def s3_files() -> Any:
    files = fsspec.filesystem(
        "s3",
        use_listings_cache=False,
        config_kwargs={
            "connect_timeout": 5,
            "read_timeout": 20,
            "retries": {"total_max_attempts": 2},
        },
    )
    files.retries = 2  # s3fs's own tries, around botocore's
    return files


def gs_files() -> Any:
    return fsspec.filesystem("gs", use_listings_cache=False, requests_timeout=20)


def web_files() -> Any:
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, connect=5, sock_read=20)
    return fsspec.filesystem("https", client_kwargs={"timeout": timeout})


def local_files() -> Any:
    return fsspec.filesystem("file")


CONNECT: Mapping[str, Callable[[], Any]] = {
    LOCAL: local_files,
    "s3": s3_files,
    "gs": gs_files,
    "http": web_files,
    "https": web_files,
}
"""By scheme: what makes a file system of fsspec. Module functions, so that they travel."""
