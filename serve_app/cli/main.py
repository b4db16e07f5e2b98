"""Entry point of ``face-serve``: a user's mistake ends in one message and exit code 2."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from serve_app.cli import (
    audit,
    config,
    db,
    encryption,
    gallery,
    index,
    jobs,
    keys,
    models,
    person,
    tenants,
)
from serve_app.cli.backup import backup, restore
from serve_app.cli.demo import demo
from serve_app.cli.evaluate import evaluate
from serve_app.cli.group import ACCESS, FILES, GALLERIES, PICTURES, SERVICE, CommandGroup
from serve_app.cli.output import complain
from serve_app.cli.plan import plan
from serve_app.cli.predict import predict
from serve_app.cli.probe import probe
from serve_app.cli.serve import serve
from serve_app.cli.verify import verify
from serve_app.errors import FaceServeError

MISTAKE, INTERNAL = 2, 70
TRACEBACK = "FACE_SERVE_TRACEBACK"
"""Set in the environment, it shows where an internal error comes from."""

EXIT_CODES = """\
\b
Exit codes:
  0    fine
  1    no: different people, or a check that found something
  2    a mistake in what was given, or something that is missing
  70   an internal error; FACE_SERVE_TRACEBACK=1 shows where
  130  interrupted"""

app = typer.Typer(
    name="face-serve",
    cls=CommandGroup,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: it is read in logs and pipes too
)

app.command(rich_help_panel=PICTURES)(predict)
app.command(rich_help_panel=PICTURES)(verify)
app.command(rich_help_panel=PICTURES, short_help="Measure how well people are recognised.")(
    evaluate
)
app.add_typer(index.app, name="index", rich_help_panel=FILES)
app.add_typer(models.app, name="models", rich_help_panel=FILES)
app.add_typer(config.app, name="config", rich_help_panel=FILES)
app.command(rich_help_panel=SERVICE)(serve)
app.command(rich_help_panel=SERVICE, short_help="Enrol and recognise on a running service.")(demo)
app.command(rich_help_panel=SERVICE, short_help="Say what to give each stage for a load.")(plan)
app.command(rich_help_panel=SERVICE, short_help="One request through a running service.")(probe)
app.add_typer(gallery.app, name="gallery", rich_help_panel=GALLERIES)
app.add_typer(jobs.app, name="jobs", rich_help_panel=GALLERIES)
app.command(rich_help_panel=GALLERIES)(backup)
app.command(rich_help_panel=GALLERIES, short_help="Bring a backup's galleries back.")(restore)
app.add_typer(db.app, name="db", rich_help_panel=GALLERIES)
app.add_typer(keys.app, name="keys", rich_help_panel=ACCESS)
app.add_typer(tenants.app, name="tenants", rich_help_panel=ACCESS)
app.add_typer(encryption.app, name="encryption", rich_help_panel=ACCESS)
app.add_typer(audit.app, name="audit", rich_help_panel=ACCESS)
app.add_typer(person.app, name="people", rich_help_panel=ACCESS)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"face-serve {version('face-serve')}")
        raise typer.Exit


@app.callback()
def face_serve(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Recognise faces: here and now, or as a service.

    Enrol a directory that has a folder of pictures for each person, then look at other pictures:

    \b
      face-serve index build people -o staff
      face-serve predict friends.jpg --index staff --save-img out

    `face-serve COMMAND --help` says more of each.
    """


def main() -> None:
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """Run a program of commands; see above."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except FaceServeError as error:
        _end(str(error), MISTAKE)
    except OSError as error:
        if error.filename is None:
            _internal(error)
        _end(f"{error.filename}: {error.strerror}", MISTAKE)
    except Exception as error:
        _internal(error)


def _internal(error: Exception) -> NoReturn:
    if os.environ.get(TRACEBACK):
        raise error
    _end(f"internal error ({type(error).__name__}): {TRACEBACK}=1 shows where", INTERNAL)


def _end(message: str, code: int) -> NoReturn:
    complain(message)
    sys.exit(code)
