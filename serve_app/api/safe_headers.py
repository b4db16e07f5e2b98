"""What every answer tells browsers, so that none of them makes more of it than an answer.

Refusals and pages have them too. Whoever puts another proxy in front need not add any.
"""

from __future__ import annotations

from starlette.types import Message

CSP = b"content-security-policy"
_POLICY = (CSP, b"default-src 'none'; frame-ancestors 'none'")
_WITHOUT_POLICY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),  # faces and names in a browser's cache are a leak
)
SAFE_HEADERS = (*_WITHOUT_POLICY, _POLICY)


def made_safe(start: Message) -> Message:
    """An ``http.response.start`` with the headers. A page that brings a policy keeps it."""
    headers = start.get("headers", ())
    brings = any(name == CSP for name, _ in headers)
    return {**start, "headers": [*headers, *(_WITHOUT_POLICY if brings else SAFE_HEADERS)]}
