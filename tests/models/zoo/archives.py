"""Archives in the form of the official ones, made in memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.models.official_forms import inference_yml


def tar(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar file of files, or of whatever a TarInfo says."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def model(name: str, weights: bytes = b"weights", *, declared: str | None = None) -> bytes:
    """What a fetch takes for the official archive of ``name``: no network runs it."""
    import yaml

    content = inference_yml(name)
    content["Global"]["model_name"] = declared or name
    folder = f"{name}_infer"
    return tar(
        {
            f"{folder}/inference.json": b"{}",
            f"{folder}/inference.pdiparams": weights,
            f"{folder}/inference.yml": yaml.safe_dump(content).encode(),
        }
    )


def archive_of(directory: Path) -> bytes:
    """The archive that holds an exported model."""
    return tar(
        {f"{directory.name}_infer/{file.name}": file.read_bytes() for file in directory.iterdir()}
    )
