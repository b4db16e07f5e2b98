"""``make bench-access``: what keys, quotas and the audit log cost, in processor time of a request.

One cluster with the application twice, once without any of them and once with all, which take
turns. The mix has changes, as the audit log is written by them.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from load_tests import pictures
from load_tests.measured import cores_in_use, infer
from load_tests.target import Target, started
from load_tests.traffic.plan import Request
from load_tests.two_applications import (
    CLIENTS,
    PREFIXES,
    ROUTES,
    Figures,
    report,
    take_turns,
    two_applications,
)
from serve_app.access import ALL_SCOPES, ApiKey, Quota
from serve_app.access.keys import new_token, parse_token
from serve_app.access.secrets import hash_secret
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.access_store import AccessStore

BAR = 1.03
KNOWN_S = 6.0
"""Until every replica knows a key that was just made."""
ROOMY = Quota(requests_per_s=1e6, burst=1e6, body_bytes=10**9, faces=10**9, galleries=10**6)
"""Of the key and of its tenant: everything is counted and nobody is refused."""
TENANT = "bench"
ADD = "/face-recognition-index-add"


def content() -> dict[str, Any]:
    return two_applications({"audit": {"enabled": False}}, {"access": {"keys": True}})


def make_key(data_dir: Path) -> str:
    """The token of a key that may everything, of the application with that directory."""
    token = new_token()
    parsed = parse_token(token)
    assert parsed is not None
    key_id, secret = parsed
    store = GalleryStore(sqlite_url(data_dir / "galleries.db"))
    access = AccessStore(store)
    access.add(ApiKey(key_id, TENANT, "bench", hash_secret(secret), ALL_SCOPES, ROOMY))
    access.set_tenant_quota(TENANT, ROOMY)
    store.close()
    return token


def requests(target: Target, changes: float) -> dict[str, list[Request]]:
    """A picture that is looked for in a gallery of one face; a share of ``changes`` enrols it in
    another gallery instead."""
    assert target.data_dir is not None
    keys = {"off": "", "on": make_key(target.data_dir / "on")}
    time.sleep(KNOWN_S)
    picture = pictures.small()
    pair = {"image": picture.base64, "label": pictures.LABEL}
    found: dict[str, list[Request]] = {}
    for name, prefix in PREFIXES.items():
        built = [
            target.post(
                f"{prefix}/face-recognition-index-build",
                {"imageLabelPairs": [pair]},
                api_key=keys[name],
            )
            for _ in range(2)
        ]
        search = infer(picture.base64, str(built[0]["indexKey"]), expects=pictures.LABEL)
        enrol = Request.json(
            "add",
            ADD,
            {"indexKey": built[1]["indexKey"], "imageLabelPairs": [pair], "returnIdMap": False},
            expects="imageCount",
        )
        mix = [replace(search, share=1 - changes)]
        if changes:
            mix.append(replace(enrol, share=changes))
        found[name] = [replace(one, path=prefix + one.path, api_key=keys[name]) for one in mix]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--changes", type=float, default=0.2, help="share of requests that enrol")
    parser.add_argument("--output", type=Path, default=Path("out/access.json"))
    options = parser.parse_args()
    others = cores_in_use()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    found: Figures = {name: [] for name in ROUTES}

    def keep(figures: Figures) -> None:
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    with started(content()) as target:
        asked = requests(target, options.changes)
        take_turns(target, asked, options.pairs, options.seconds, found, keep)
    told = (
        f"{CLIENTS} clients, {options.seconds:g} s each, {options.changes:.0%} of them changes; "
        f"others used {others:.2f} cores when it began; {time.strftime('%Y-%m-%d')}"
    )
    print(report(found, BAR, told))


if __name__ == "__main__":
    main()
