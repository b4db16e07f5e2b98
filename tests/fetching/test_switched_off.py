from __future__ import annotations

import pytest

from serve_app.errors import FetchError
from serve_app.fetching import SwitchedOff
from tests.api.harness import INFER, Api, failure
from tests.fakes import RED, picture


async def test_no_url_is_read_and_the_reason_is_told() -> None:
    with pytest.raises(FetchError, match=r"^image URLs are not read .*fetch\.enabled.*: send the"):
        await SwitchedOff().fetch("http://faces.example/a.jpg?signature=secret")
    await SwitchedOff().aclose()


async def test_a_request_with_a_url_is_refused_and_one_with_an_image_is_not() -> None:
    api = Api(fetcher=SwitchedOff())
    told = failure(await api.post(INFER, {"image": "http://faces.example/a.jpg"}), 422)
    assert "fetch.enabled" in told
    assert "faces.example" not in told
    assert await api.works(picture(RED))
