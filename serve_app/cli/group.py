"""The group of all commands: sections in its help, and two ends that are nobody's mistake."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

READER_GONE = 141
"""Exit code of a program whose reader went away (``| head``): 128 and the number of SIGPIPE."""


PICTURES, FILES = "Pictures", "Galleries and models as files"
SERVICE, GALLERIES = "The service", "The service's galleries"
ACCESS = "Who may use the service"
SECTIONS = (PICTURES, FILES, SERVICE, GALLERIES, ACCESS)


class CommandGroup(TyperGroup):
    """Each command is registered with one of SECTIONS as its ``rich_help_panel``."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = {name: self.commands[name] for name in self.list_commands(ctx)}
        width = max(map(len, commands))
        for section in SECTIONS:
            rows = [
                (name.ljust(width), command.get_short_help_str(formatter.width - 6 - width))
                for name, command in commands.items()
                if getattr(command, "rich_help_panel", None) == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            # What is left in the buffer goes nowhere: at its end Python would complain of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(READER_GONE) from None
