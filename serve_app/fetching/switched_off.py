"""In the place of a fetcher where the Serve file says that no URL is read."""

from __future__ import annotations

from serve_app.errors import FetchError


class SwitchedOff:
    async def fetch(self, _: str) -> bytes:
        """Raises FetchError; neither looks at the URL nor for it."""
        raise FetchError(
            "image URLs are not read by this service (fetch.enabled is false in its Serve file): "
            "send the image itself"
        )

    async def aclose(self) -> None:
        pass
