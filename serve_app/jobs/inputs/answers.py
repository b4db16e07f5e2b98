"""What a store answers: in time or not, and its clients' errors in words of our own.

A bucket that denies is unavailable: credentials end, also in the middle of a job.

Clients that wait for minutes, or look for credentials for ever, are left behind.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from serve_app.errors import FaceServeError, InvalidRequestError, UnavailableError
from serve_app.jobs.inputs.places import LOCAL, WEB, scheme_of, shown_place

T = TypeVar("T")

SILENT = "it does not answer, or not as such a store does"
EMPTY = "InvalidRange"


def within(seconds: float, call: Callable[[], T]) -> T:
    """What ``call`` returns or raises. Raises TimeoutError; the call then goes on in a thread that
    nobody waits for."""
    answers: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # raised below
            errors.append(error)

    thread = threading.Thread(target=run, name="first-answer", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError
    return answers[0]


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """What a store's client raises, as InvalidRequestError or UnavailableError that name the place.

    Other errors of ours, and of pyarrow's about what is in a file, pass.
    """
    try:
        yield
    except (FaceServeError, ImportError):
        raise
    except FileNotFoundError as error:
        # fsspec says so of a host that does not answer, too.
        cause = error.__cause__
        answered = not isinstance(cause, OSError) or isinstance(cause, FileNotFoundError)
        if scheme_of(place) in WEB and not (answered and getattr(cause, "status", 404) == 404):
            raise UnavailableError(f"{shown_place(place)} can't be read: {SILENT}") from None
        raise InvalidRequestError(f"there is no {shown_place(place)}") from None
    except PermissionError:
        raise _denied(place) from None
    except IsADirectoryError:
        raise InvalidRequestError(f"{shown_place(place)} is a directory: name a file") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "pyarrow":
            raise
        if isinstance(error, ValueError):
            raise InvalidRequestError(
                f"{shown_place(place)} can't be read: check how it is written"
            ) from None
        if _is_about_credentials(error):
            raise _denied(place) from None
        if scheme_of(place) != LOCAL and _is_about_one_object(error):
            raise InvalidRequestError(
                f"{shown_place(place)} can't be read: it is empty, or its name is too long"
            ) from None
        why = getattr(error, "strerror", None) if scheme_of(place) == LOCAL else None
        what = why or SILENT
        raise UnavailableError(f"{shown_place(place)} can't be read: {what}") from None


def _denied(place: str) -> FaceServeError:
    if scheme_of(place) == LOCAL:
        return InvalidRequestError(f"{shown_place(place)} may not be read by this user")
    return UnavailableError(
        f"{shown_place(place)} may not be read: give the cluster's environment credentials for it"
    )


def _is_about_one_object(error: Exception) -> bool:
    """S3 has no range of an empty object, which is what is asked for."""
    response = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return code == EMPTY or getattr(error, "errno", None) == errno.ENAMETOOLONG


def _is_about_credentials(error: Exception) -> bool:
    """By name: the clients' packages need not be installed."""
    names = [kind.__name__ for kind in type(error).mro()]
    return any("Credential" in name or "Auth" in name for name in names)
