"""Where something lies: a local path, an object of a bucket, or a URL, as one text each.

Owns how such texts are read and joined. Touches no disk and no network.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from serve_app.errors import InvalidRequestError
from serve_app.locations import without_secrets

SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
SAME_AS = {"s3a": "s3", "gcs": "gs"}
LOCAL = ""
"""The scheme of a path."""
WEB = ("http", "https")
MOST_SHOWN = 200
"""Characters of a place that a message shows."""


def scheme_of(place: str) -> str:
    """``s3``, ``gs``, ``http``, ``https``, another that is written so, or ``LOCAL``."""
    match = SCHEME.match(place)
    if match is None:
        return LOCAL
    scheme = match[1].lower()
    return SAME_AS.get(scheme, scheme)


def placed(text: str) -> str:
    """The place that a user's text names: absolute, its scheme in its usual spelling.

    Raises InvalidRequestError for a text that names none: empty, with NUL, or a chain of fsspec's
    (``zip::s3://``), which may lead anywhere; and for a URL with a user, which would be kept.
    """
    if not text or "\0" in text:
        raise InvalidRequestError("a path is empty or holds the character NUL")
    if "::" in text.partition("://")[0]:
        raise InvalidRequestError("a URL with :: before its scheme is not read: name the file")
    scheme = scheme_of(text)
    if scheme != LOCAL and "@" in re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]:
        raise InvalidRequestError("a URL with a user or a password is not read: leave them out")
    if scheme == "file":
        text, scheme = text.partition("://")[2], LOCAL
        if not text.startswith("/"):
            raise InvalidRequestError("a file:// URL names no absolute path: write the path")
    if scheme == LOCAL:
        # Also without `..`: what is checked is what is opened.
        return os.path.normpath(f"{Path.cwd()}/{text}" if text[0] != "/" else text)
    return f"{scheme}://{text.partition('://')[2]}"


def beside(place: str) -> str:
    """The directory or prefix that a file lies in; of a URL without its query."""
    if scheme_of(place) in WEB:
        place = re.split(r"[?#]", place, maxsplit=1)[0]
    head, _, rest = place.rpartition("/")
    if scheme_of(place) != LOCAL and head.endswith("/"):
        return place  # a host or bucket alone
    return head if rest or head else place


def under(root: str, written: str) -> str:
    """The place that an input names: absolute or a URL as it is, else below ``root``. Raises
    InvalidRequestError as ``placed``."""
    if scheme_of(written) != LOCAL or written.startswith("/"):
        return placed(written)
    if scheme_of(root) == LOCAL:
        return placed(f"{root}/{written}")
    return placed(f"{root.rstrip('/')}/{written.removeprefix('./')}")


def name_of(place: str) -> str:
    """The last part, without a URL's query."""
    path = urlsplit(place).path if scheme_of(place) in WEB else place
    return path.rstrip("/").rpartition("/")[2]


def shown_place(place: str) -> str:
    """For a message: without secrets, on one line, not too long."""
    place = without_secrets(place)
    place = os.fsencode(place).decode("utf-8", "backslashreplace")
    place = "".join(letter if letter.isprintable() else "?" for letter in place)
    return place if len(place) <= MOST_SHOWN else f"{place[:MOST_SHOWN]}..."


def without_folder(message: str, place: str) -> str:
    """A message of ``shown_place`` about ``place`` or what is below it, without the folder of this
    machine that it lies in: whoever may see a job need not learn where the server's files are."""
    place = placed(place)
    if scheme_of(place) != LOCAL:
        return message
    return message.replace(shown_place(place), shown_place(name_of(place)) or "the input")
