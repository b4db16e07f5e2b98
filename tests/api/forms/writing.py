"""Writes multipart/form-data byte by byte, as no client does that only writes good ones."""

from __future__ import annotations

BOUNDARY = "----------------------------d74496d66958873e"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def field(name: str, content: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (name.encode(), content)


def file(
    field_name: str, content: bytes, *, name: str | None = "a.png", kind: str = "image/png"
) -> bytes:
    """A part with a content type, and a file name unless ``name`` is None."""
    named = b"" if name is None else b'; filename="%s"' % name.encode()
    return b'Content-Disposition: form-data; name="%s"%s\r\nContent-Type: %s\r\n\r\n%s' % (
        field_name.encode(),
        named,
        kind.encode(),
        content,
    )


def multipart(*parts: bytes) -> bytes:
    boundary = b"--" + BOUNDARY.encode()
    return b"".join(boundary + b"\r\n" + part + b"\r\n" for part in parts) + boundary + b"--\r\n"
