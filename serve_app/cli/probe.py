"""``face-serve probe``: one request through every stage of a running service, for something that
asks now and then. A path that nobody uses for a day may break without anybody's notice."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from serve_app.cli.options import ApiKeyOption, bearer
from serve_app.cli.output import complain
from serve_app.errors import UnavailableError

INFER = "/face-recognition-infer"
GALLERY = "face-serve-probe"
"""There need be none of that key: that it is not there is found out last, after every stage."""


def probe(
    url: Annotated[str, typer.Option(help="Of the service.")] = "http://127.0.0.1:8080",
    timeout: Annotated[float, typer.Option(help="Seconds for each of two requests.")] = 20.0,
    api_key: ApiKeyOption = None,
) -> None:
    """Ask a running service whether it is ready, and have it look at a picture.

    The picture is a drawing of faces that goes through every stage; nothing is stored. Exit code 1:
    it is not ready, or did not answer as it should.
    """
    import httpx

    started = time.monotonic()
    try:
        with httpx.Client(base_url=url, timeout=timeout, trust_env=False) as client:
            ready = client.get("/ready")
            if ready.status_code != httpx.codes.OK:
                complain(f"not ready: {_message(ready)}")
                raise typer.Exit(1)
            headers = {"Content-Type": "image/jpeg", "Request-Timeout": f"{timeout:g}"}
            headers |= bearer(api_key)
            fields = {"indexKey": GALLERY, "visualize": "false"}
            answer = client.post(INFER, params=fields, content=_jpeg(), headers=headers)
    except httpx.HTTPError as error:
        raise UnavailableError(f"the service does not answer: {type(error).__name__}") from None
    if answer.status_code not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
        complain(f"it answered {answer.status_code}: {_message(answer)}")
        raise typer.Exit(1)
    print(f"ready; answered through every stage in {time.monotonic() - started:.2f} s")


def _jpeg() -> bytes:
    from serve_app.imaging import encode_jpeg
    from serve_app.models.selection.picture import picture

    return encode_jpeg(picture())


def _message(answer: object) -> str:
    try:
        return str(answer.json()["errorMsg"])  # type: ignore[attr-defined]
    except (ValueError, KeyError, TypeError):
        return "no answer of face-serve's"
