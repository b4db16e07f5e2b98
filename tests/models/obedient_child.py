"""A child that does as told, for tests of ``serve_app.models.child``. Run as a program."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

from serve_app.errors import ModelError
from serve_app.models.child import Send, run_as_child


def _work(arguments: Sequence[str], send: Send) -> None:
    for order in arguments:
        if order == "print":
            print("noise on Python's standard output")
            os.write(1, b"noise of a native library\n")
        elif order == "abort":
            os.abort()
        elif order == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif order == "hang":
            time.sleep(600)
        elif order == "exit":
            os._exit(3)
        elif order == "refuse":
            raise ModelError("operator Foo is not known")
        elif order == "fail":
            raise RuntimeError("somewhere in /private/folder/file")
        elif order == "echo":
            for line in sys.stdin:
                send({"line": line.strip(), "path": sys.path})
        else:
            send({"order": order})


if __name__ == "__main__":
    run_as_child(_work)
