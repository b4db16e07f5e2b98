"""Entry point of ``face-serve``: a user's mistake ends in one message and exit code 2."""

from __future__ import annotations

import sys

import typer

from serve_app.cli import db, gallery
from serve_app.cli.backup import backup, restore
from serve_app.cli.demo import demo
from serve_app.cli.evaluate import evaluate
from serve_app.cli.serve import serve
from serve_app.errors import FaceServeError

app = typer.Typer(
    name="face-serve",
    help="Face recognition as a Ray Serve deployment graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(demo)
app.command()(evaluate)
app.command()(backup)
app.command()(restore)
app.add_typer(gallery.app, name="gallery")
app.add_typer(db.app, name="db")


def main() -> None:
    try:
        app()
    except FaceServeError as error:
        print(f"face-serve: {error}", file=sys.stderr)
        sys.exit(2)
