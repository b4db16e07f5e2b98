"""``/docs``: Swagger UI from an installed package, so that closed networks see it too.

The page runs one script of its own, which names the document's address. Its policy allows just
that one, by its digest, and what comes from here.
"""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

from serve_app.api.safe_headers import CSP

STATIC = "/static-offline-docs"
"""Where fastapi_offline puts the package's files."""

_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def add_docs_page(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} - Swagger UI",
            swagger_js_url=f"{root}{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{root}{STATIC}/favicon.png",
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
