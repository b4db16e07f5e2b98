from __future__ import annotations

import subprocess
import sys

from serve_app.models.conversion.paddle_module import import_paddle

IMPORT = """
import sys
from serve_app.models.conversion.paddle_module import import_paddle
assert "paddle" not in sys.modules
print(import_paddle("paddle.inference").__name__)
"""


def test_modules_inside_paddle() -> None:
    assert import_paddle().__name__ == "paddle"
    assert hasattr(import_paddle("paddle.inference"), "Config")


def test_paddle_is_imported_when_asked_and_says_nothing() -> None:
    command = [sys.executable, "-c", IMPORT]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("paddle.inference\n", "")
