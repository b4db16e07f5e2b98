from __future__ import annotations

import base64
import hashlib
import re

import pytest

from serve_app.api.docs_page import policy_of
from tests.api.harness import Api


@pytest.mark.parametrize("root", ["", "/paddlex"])
async def test_the_page_runs_its_own_script_and_loads_from_here_alone(root: str) -> None:
    api = Api(root=root)
    answer = await api.send("GET", f"{root}/docs")
    assert answer.status_code == 200
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert f"url: '{root}/openapi.json'" in scripts[0]
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert policy["script-src"].split() == ["'self'", *(f"'sha256-{one}'" for one in digests)]
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(loaded) == 3
    assert all(address.startswith(f"{root}/static-offline-docs/") for address in loaded)
    assert not re.search(r"\son\w+=", answer.text), "no script within attributes"


def test_every_script_has_its_digest() -> None:
    assert policy_of(b"<script>a</script> <script>b</script>").count("sha256-") == 2
    assert "sha256-" not in policy_of(b'<script src="a"></script>')


async def test_no_page_takes_sign_ins() -> None:
    assert (await Api().send("GET", "/docs/oauth2-redirect")).status_code == 404
