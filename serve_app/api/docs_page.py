"""``/docs``: Swagger UI from an installed package, so that closed networks see it too.

The page runs one script of its own, which names the document's address. Its policy allows just
that one, by its digest, and what comes from here. What it loads is kept in memory (2 MB): read
from disk in pieces, a thousand requests for it would hold up the event loop for 20 s.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from serve_app.api.safe_headers import CSP

STATIC = "/static-offline-docs"
DOCS = ("/docs", f"{STATIC}/{{name}}")
"""The routes: a page for people, and what it loads."""
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def add_docs_page(app: FastAPI) -> None:
    folder = Path(fastapi_offline.__file__).parent / "static"
    files = {name: (folder / name).read_bytes() for name in FILES}

    @app.get(DOCS[1], include_in_schema=False)
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=mimetypes.guess_type(name)[0])

    @app.get(DOCS[0], include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} - Swagger UI",
            swagger_js_url=f"{root}{STATIC}/{FILES[0]}",
            swagger_css_url=f"{root}{STATIC}/{FILES[1]}",
            swagger_favicon_url=f"{root}{STATIC}/{FILES[2]}",
        )
        page.headers[CSP.decode("ascii")] = policy_of(bytes(page.body))
        return page


def policy_of(page: bytes) -> str:
    """The Content-Security-Policy with which a page still runs its own scripts. Swagger UI styles
    its elements one by one and has pictures in its style sheet."""
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode('ascii')}'"
        for script in _SCRIPT.findall(page)
    ]
    return (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
        f"script-src 'self' {' '.join(digests)}; style-src 'self' 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
