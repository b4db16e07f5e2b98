"""Importing Paddle: three seconds on a cold machine, and without its warning.

At import Paddle looks for ``ccache``, which only who compiles operators needs, and warns on stderr
where there is none. The filter is left in place, as filters are the process's: taking it out again
would race with other threads.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any


def import_paddle(module: str = "paddle") -> Any:
    """``paddle``, or a module inside it."""
    if "paddle" not in sys.modules:
        warnings.filterwarnings("ignore", message="No ccache found")
    return importlib.import_module(module)
