"""Which database a command works on: what the Serve file, ``--data-dir`` and the environment say.

Reads the Serve file without Ray, which takes seconds to import: its form is checked when serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.errors import ConfigError

if TYPE_CHECKING:
    from serve_app.config import ServiceArgs
    from serve_app.index.store import GalleryStore

DEFAULT_CONFIG = Path("configs/serve/local.yaml")
DATABASE_VARIABLE = "FACE_SERVE_DATABASE_URL"

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The Serve file: it says where the galleries are.")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the galleries lie, instead of the file's.")
]


def open_store(
    config: Path,
    data_dir: Path | None,
    environ: Mapping[str, str],
    *,
    create: bool = False,
    migrate: bool = False,
    reads_sealed: bool = True,
) -> GalleryStore:
    """The store that a service of this configuration uses. ``create``: a SQLite file is made if
    there is none. ``reads_sealed`` False: for what needs no master key, and must work while there
    is none to be had: to revoke a key above all. Raises ConfigError."""
    from serve_app.config.encryption import open_vault
    from serve_app.config.service import database_url
    from serve_app.index.store import GalleryStore

    service = read_service_args(config, data_dir, environ)
    return GalleryStore(
        database_url(service, environ),
        create=create,
        migrate=migrate,
        vault=open_vault(service.encryption.keys, environ) if reads_sealed else None,
        audited=service.audit.enabled,
        reads_sealed=reads_sealed,
    )


def read_service_args(
    config: Path, data_dir: Path | None, environ: Mapping[str, str]
) -> ServiceArgs:
    """``args`` of the Serve file, with ``data_dir`` instead of its own, whose galleries then lie
    there. The default file may be missing where something else says where the galleries are.
    Raises ConfigError."""
    from serve_app.config import parse_service_args

    enough = data_dir is not None or bool(environ.get(DATABASE_VARIABLE))
    args = {} if enough and config == DEFAULT_CONFIG and not config.exists() else _args(config)
    if data_dir is not None:
        args["data_dir"] = str(data_dir)
    return parse_service_args(args)


def _args(config: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"{config.name} can't be read: give a Serve file with --config") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{config.name} is not valid YAML") from None
    try:
        return dict(content["applications"][0].get("args") or {})
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ConfigError(f"{config.name} is no Serve file: it names no application") from None
