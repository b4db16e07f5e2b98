"""Running ``face-serve`` in this process, on a database of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner, Result

from serve_app.cli.main import app
from serve_app.index.store import GalleryStore, sqlite_url


@dataclass(frozen=True, slots=True)
class Commands:
    data_dir: Path

    def run(self, *arguments: str) -> str:
        """What a command that works prints."""
        result = self.invoke(*arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    def invoke(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--data-dir", str(self.data_dir)])

    def store(self) -> GalleryStore:
        return GalleryStore(sqlite_url(self.data_dir / "galleries.db"))
