"""Official models on this machine: one directory a version, and a record of the one that counts.

``models/NAME.json`` in the cache says which archive NAME came from and what its files' digests are;
``models/NAME-<digest>/`` holds them. Directories never change once they are there, and the record
is replaced in one step: readers need no lock, and a fetch that dies leaves the old state.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.zoo.archive import digest_of


@dataclass(frozen=True, slots=True)
class Record:
    """SHA-256 of the archive, and of each file by its name."""

    name: str
    archive_sha256: str
    files: dict[str, str]

    @property
    def directory(self) -> str:
        return f"{self.name}-{self.archive_sha256[:12]}"


class ModelCache:
    """Below ``cache_dir/models``; nothing is made before something is stored."""

    def __init__(self, cache_dir: Path) -> None:
        self.root = cache_dir / "models"

    def record(self, name: str) -> Record | None:
        """What was recorded at the first download, also where the files are gone by now.

        Raises ModelError if it can't be read: the digest it holds must not be forgotten silently.
        """
        try:
            content = json.loads((self.root / f"{name}.json").read_text(encoding="utf-8"))
            return Record(name, str(content["archive_sha256"]), dict(content["files"]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise ModelError(
                f"models/{name}.json in the cache can't be read. Remove it, and the next download "
                "is trusted like the first"
            ) from None

    def installed(self, name: str) -> Path | None:
        """The model's directory if its files are all there and unchanged."""
        record = self.record(name)
        if record is None:
            return None
        directory = self.root / record.directory
        for file, digest in record.files.items():
            path = directory / file
            if not path.is_file() or digest_of(path) != digest:
                return None
        return directory

    def store(self, unpacked: Path, record: Record) -> Path:
        """Move the directory ``unpacked``, on the same file system, to its place and make it the
        one that counts. The one before goes. Under the model's lock."""
        before = self.record(record.name)
        directory = self.root / record.directory
        shutil.rmtree(directory, ignore_errors=True)
        unpacked.replace(directory)
        self._write(record)
        if before is not None and before.directory != record.directory:
            shutil.rmtree(self.root / before.directory, ignore_errors=True)
        return directory

    def _write(self, record: Record) -> None:
        content = dataclasses.asdict(record)
        part = self.root / f"{record.name}.json.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.root / f"{record.name}.json")
