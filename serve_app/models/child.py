"""Another Python process for what may crash, hang or print: conversions and measurements.

Both sides of it: a module of ours runs there and answers in lines of JSON. A subprocess and not
``multiprocessing``, which would run the calling script's top level a second time.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from serve_app.errors import FaceServeError

Answer = dict[str, Any]
Send = Callable[[Answer], None]
REASON = "error"
"""The key of an answer that says why there is no other."""


class ChildError(Exception):
    """Why a child gave no answer: ``gives no answer in 60 s``, or in its own words."""


class ChildCrashError(ChildError):
    """A signal ended it: ``crashes with SIGABRT``. What it did would end this process as well."""


class Child:
    """``python -m module lifetime arguments...``, ended by ``close`` or after ``lifetime_s``.

    It imports from where this process does, and from the folder that it is in no more than this
    one. Its own output goes nowhere.
    """

    def __init__(self, module: str, arguments: Sequence[str], lifetime_s: float) -> None:
        command = [sys.executable, "-P", "-m", module, str(int(lifetime_s) + 1), *arguments]
        folders = [folder or os.getcwd() for folder in sys.path]  # noqa: PTH109
        self._process = subprocess.Popen(  # nosec B603 # this Python, our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        )
        self._read = b""

    @property
    def process_id(self) -> int:
        return self._process.pid

    def ask(self, line: str, deadline_s: float) -> Answer:
        """Send a line and await the answer. Raises ChildError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._end() from None
        return self.answer(deadline_s)

    def answer(self, deadline_s: float) -> Answer:
        """The next answer. Raises ChildError: it crashed, it is late, or its answer is a reason."""
        assert self._process.stdout is not None
        until = time.monotonic() + deadline_s
        while b"\n" not in self._read:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ChildError(f"gives no answer in {deadline_s:g} s")
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise self._end()
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        answer: Answer = json.loads(line)
        if REASON in answer:
            raise ChildError(str(answer[REASON]))
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> ChildError:
        code = self._process.wait()
        if code < 0:
            return ChildCrashError(f"crashes with {signal.Signals(-code).name}")
        return ChildError(f"ends with exit code {code}")


def run_child(module: str, arguments: Sequence[str], deadline_s: float) -> Answer:
    """The one answer of ``module``. Raises ChildError."""
    with Child(module, arguments, deadline_s) as child:
        return child.answer(deadline_s)


def run_as_child(work: Callable[[Sequence[str], Send], None]) -> None:
    """The other side: run ``work`` with the arguments and what sends its answers.

    The operating system ends this process after its lifetime, also where native code hangs and
    nobody is left to kill it. Standard output is the answers' alone: native libraries print.
    """
    signal.alarm(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(answer: Answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        work(sys.argv[2:], send)
    except FaceServeError as error:
        send({REASON: str(error)})
    except Exception as error:
        # Its text may name paths of this machine.
        send({REASON: f"fails with {type(error).__name__}"})
