"""What a runtime raises, as a ModelError that names the file: no paths, no C++ stack."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve_app.errors import FaceServeError, ModelError

logger = logging.getLogger(__name__)

MAX_REASON = 200
_FRAMES = re.compile(
    r"\(at [^)]*\)|\[(?:Hint|operator)\b[^\n]*"
    r"|^\s*(?:Exception from|Check '|In user code|FrontEnd API|Summary)[^\n]*",
    re.MULTILINE,
)
"""Where in its own source a runtime gave up, and what it says around the reason."""
_FOLDERS = re.compile(r"(?<![\w.])(?:/[^/\s\"']+)*/(?=[^/\s\"'])")


@contextmanager
def blamed_on(file: Path, runtime: str, doing: str) -> Iterator[None]:
    """Whatever a runtime raises inside becomes ModelError: ``file`` can't be ``doing`` (loaded,
    run) by ``runtime``, and the runtime's reason without the paths in it. A failed run is logged
    too: whoever sent the image is told no more than that something broke."""
    try:
        yield
    except (FaceServeError, MemoryError):
        raise
    except Exception as error:
        message = f"{shown(file)} can't be {doing} by {runtime}: {reason(error, file)}"
        if doing == "run":
            logger.error(message)
        raise ModelError(message) from None


def shown(file: Path) -> str:
    """How messages call a model's file: those of Paddle have the same names in every directory."""
    return file.name if file.suffix == ".onnx" else f"{file.parent.name}/{file.name}"


def reason(error: Exception, file: Path) -> str:
    """What the exception says, on one line; its class where it says nothing."""
    said = _FRAMES.sub("", str(error))
    for path in (file, file.parent):
        said = said.replace(str(path.absolute()), path.name).replace(str(path), path.name)
    said = " ".join(_FOLDERS.sub("", said).split())
    if len(said) > MAX_REASON:
        said = said[:MAX_REASON].rstrip() + " ..."
    return said or type(error).__name__
