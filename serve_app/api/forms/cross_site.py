"""Pages of other origins: a browser lets them post forms without asking the service first.

JSON, images and msgpack are asked for (a CORS preflight, which is never granted); of what is taken
here only multipart/form-data is not.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

from serve_app.api.errors import invalid_value

OUR_OWN = ("same-origin", "none")


def refuse_cross_site(headers: Headers) -> None:
    """Raises InvalidRequestError."""
    if is_cross_site(headers):
        raise invalid_value(
            "cross_site",
            "header.Origin",
            "A page of another origin can't send multipart/form-data: send JSON or msgpack",
        )


def is_cross_site(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin sends this. Other clients say nothing.

    ``Sec-Fetch-Site`` decides where it is there, else ``Origin``, which every browser sends with a
    POST of another origin, against ``Host``.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in OUR_OWN
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return True
    return not host or host.lower() != headers.get("host", "").lower()
