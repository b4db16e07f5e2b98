"""Arguments that several commands take, each with one meaning and one text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PipelineOption = Annotated[
    str,
    typer.Option(
        "--pipeline",
        metavar="FILE",
        help="A pipeline file; face_recognition is the embedded YuNet and SFace.",
    ),
]
DEFAULT_PIPELINE = "face_recognition"

DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="cpu, gpu:0, npu:0, xpu:0 or mlu:0. Left out: as the pipeline file says, else a GPU "
        "if one is there, else the CPU.",
    ),
]
HpipOption = Annotated[
    bool | None,
    typer.Option(
        "--use-hpip/--no-use-hpip",
        help="Run each network in the runtime that is fastest here (measured at first use and "
        "remembered), the extractor at the precision that `models calibrate` found to be faster "
        "and as accurate; or not. Left out: as the pipeline file says.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="Threads, each with networks of its own. Left out: one a core.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]

ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="FACE_SERVE_API_KEY",
        show_envvar=True,
        help="Where the service asks for keys. Better in the environment: arguments are seen by "
        "everybody on the machine.",
    ),
]
IndexDirectory = Annotated[
    Path, typer.Argument(metavar="DIR", help="An index directory: PaddleX's or ours.")
]


def bearer(api_key: str | None) -> dict[str, str]:
    """The headers that present a key."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
