"""``face-serve config``: are pipeline files and Serve files right, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.options import JsonOption
from serve_app.cli.output import counted, print_json, printable

MISTAKE = 2

app = typer.Typer(
    help="Check pipeline files and Serve files.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def config() -> None:
    """Check pipeline files and Serve files."""  # a callback keeps ``check`` a command of its own


@app.command()
def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Pipeline files and Serve files, in any order."),
    ],
    show: Annotated[
        bool, typer.Option("--show", help="Print what a file comes to, with every default.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with configuration files. Exit code 2: something is.

    A misspelt key is named with the nearest known one. Nothing is loaded, downloaded or started.

    \b
    Examples:
      face-serve config check pipeline.yaml serve.yaml
      face-serve config check pipeline.yaml --show
    """
    from serve_app.cli.config_file import check_file

    checked = [check_file(file) for file in files]
    if as_json:
        print_json([one.as_dict(with_values=show) for one in checked])
    else:
        for one in checked:
            name = printable(one.name)
            if one.mistakes:
                print(f"{name}: {one.kind}, {counted(len(one.mistakes), 'mistake')}")
                print("\n".join(f"  {printable(mistake)}" for mistake in one.mistakes))
            elif show:
                print(f"# {name}: {one.kind}, nothing wrong\n{one.text()}")
            else:
                print(f"{name}: {one.kind}, nothing wrong")
    if any(one.mistakes for one in checked):
        raise typer.Exit(MISTAKE)
