"""Sends PaddleX's recorded requests in their order and holds the replies against its own.

The same replay runs against the app in this process and against the service on Ray.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"
PIPELINE = DATA / "pipeline.yaml"
RELEASES = ("tutorial-3.0.0b2", "current-3.4.3")
SCORE_TOLERANCE = 1e-4
NOT_ECHOED = "logId is not echoed"


@dataclass(frozen=True)
class Reply:
    status: int
    content: Any


Send = Callable[[str, str, bytes | None, dict[str, str]], Awaitable[Reply]]


@dataclass(frozen=True)
class Outcome:
    """``unexplained``: differences without an entry. ``stale``: entries without a difference."""

    passed: list[str]
    explained: list[str]
    unexplained: dict[str, list[str]]
    stale: list[str]


async def replay(send: Send) -> dict[str, Reply]:
    """Our reply to each recorded request, by the golden's name."""
    replies: dict[str, Reply] = {}
    keys: dict[str, str] = {}
    for request in load("requests.json"):
        body, headers = _body(request, keys)
        reply = await send(request["method"], request["path"], body, headers)
        replies[request["golden"]] = reply
        if request["name"] in ("build_ok", "build_tmp") and reply.status == 200:
            variable = "$KEY" if request["name"] == "build_ok" else "$TMP"
            keys[variable] = reply.content["result"]["indexKey"]
    return replies


def judge(release: str, replies: dict[str, Reply]) -> Outcome:
    """Our replies against a release's, with the differences that ``differences.yaml`` explains.

    A difference is explained only while our answer is the one of ``our_answers.yaml``: an entry is
    no licence to answer anything else.
    """
    explained, answers = _read("differences.yaml"), _read("our_answers.yaml")
    entries = {name: entry for entry in explained[release] for name in entry["goldens"]}
    assert all(entry["clause"] and entry["theirs"] for entry in explained[release])
    sent = {request["golden"]: request for request in load("requests.json")}
    outcome = Outcome([], [], {}, [])
    for golden in load(f"{release}.json"):
        name = golden["golden"]
        found = differences(sent[name], golden, replies[name])
        if not found and name in entries:
            outcome.stale.append(name)
        elif not found:
            outcome.passed.append(name)
        elif (
            name in entries
            and in_short(replies[name]) == answers[name]
            and NOT_ECHOED not in found  # not a matter of the answer, and never on purpose
        ):
            outcome.explained.append(name)
        else:
            outcome.unexplained[name] = found
    outcome.stale.extend(set(entries) - set(replies))
    return outcome


def differences(request: dict[str, Any], golden: dict[str, Any], ours: Reply) -> list[str]:
    """What a client of PaddleX would see change. Results may hold more than PaddleX's."""
    theirs = golden["reply"]
    found = []
    if ours.status != golden["status"]:
        found.append(f"status {ours.status}, PaddleX {golden['status']}")
    if request["name"] == "docs":
        missing = set(theirs["paths"]) - set(ours.content["paths"])
        return [*found, f"paths missing: {missing}"] if missing else found
    if not isinstance(theirs, dict):
        return [*found, "PaddleX answers no JSON"]
    for field in ("errorCode", "errorMsg"):
        if ours.content.get(field) != theirs[field]:
            found.append(f"{field} {ours.content.get(field)!r}, PaddleX {theirs[field]!r}")
    found += _log_id(request, theirs, ours.content)
    found += _result(theirs.get("result"), ours.content.get("result"))
    return found


def in_short(ours: Reply) -> str:
    """What is deliberate about a reply, in a line: not its scores, nor the words of its message."""
    result = ours.content.get("result")
    if result is None:
        message = ours.content["errorMsg"]
        if message.startswith("["):
            problems = [f"{problem['type']} {problem['loc']}" for problem in json.loads(message)]
            return f"{ours.status} {', '.join(problems)}"
        return " ".join([str(ours.status), *re.findall(r"position \d+", message)])
    if "faces" in result:
        faces = [" ".join(r["label"] for r in face["recResults"]) for face in result["faces"]]
        picture = ", picture" if "image" in result else ""
        return f"{ours.status} {len(faces)} faces [{' | '.join(faces)}]{picture}"
    labels = ", ".join(f"{number} {label}" for number, label in result["idMap"].items())
    return f"{ours.status} idMap {{{labels}}}, imageCount {result['imageCount']}"


def load(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def _read(name: str) -> Any:
    return yaml.safe_load((DATA.parent / name).read_text(encoding="utf-8"))


def _log_id(request: dict[str, Any], theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    given = (request.get("body") or {}).get("logId") if "body" in request else None
    echoed = theirs["logId"] == given
    if given is not None and ours["logId"] != given:
        return [NOT_ECHOED]
    if given is not None and not echoed:
        return ["logId is echoed, PaddleX makes a new one"]
    if given is None:
        uuid.UUID(ours["logId"])
    return []


def _result(theirs: Any, ours: Any) -> list[str]:
    if (theirs is None) != (ours is None):
        return [f"result {ours is not None}, PaddleX {theirs is not None}"]
    found: list[str] = []
    for field, value in (theirs or {}).items():
        if field == "faces":
            found += _faces(value, ours["faces"])
        elif field == "image":
            if not ours.get("image"):
                found.append("image is missing")
        elif field == "indexKey":
            uuid.UUID(ours["indexKey"])
        elif ours.get(field) != value:
            found.append(f"{field} {ours.get(field)}, PaddleX {value}")
    if theirs and "faces" in theirs and "image" not in theirs and "image" in ours:
        found.append("image is there, PaddleX has none")
    return found


def _faces(theirs: list[Any], ours: list[Any]) -> list[str]:
    if [face["bbox"] for face in ours] != [face["bbox"] for face in theirs]:
        return [f"bbox of {len(ours)} faces, PaddleX {len(theirs)} others"]
    found = []
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if abs(our["score"] - their["score"]) > SCORE_TOLERANCE:
            found.append(f"face {number}: score {our['score']}, PaddleX {their['score']}")
        mine, recorded = our["recResults"], their["recResults"]
        if [r["label"] for r in mine] != [r["label"] for r in recorded]:
            labels = [[r["label"] for r in results] for results in (mine, recorded)]
            found.append(f"face {number}: labels {labels[0]}, PaddleX {labels[1]}")
        elif any(
            abs(a["score"] - b["score"]) > SCORE_TOLERANCE
            for a, b in zip(mine, recorded, strict=True)
        ):
            found.append(f"face {number}: candidates' scores differ")
    return found


def _body(request: dict[str, Any], keys: dict[str, str]) -> tuple[bytes | None, dict[str, str]]:
    if "raw" in request:
        text = request["raw"]
    elif "body" in request:
        text = json.dumps(request["body"])
    else:
        return None, {}
    for variable, key in keys.items():
        text = text.replace(variable, key)
    for image in (DATA / "images").iterdir():
        if f"@{image.name}" in text:
            encoded = base64.b64encode(image.read_bytes()).decode("ascii")
            text = text.replace(f"@{image.name}", encoded)
    headers = request.get("headers", {"Content-Type": "application/json"})
    return text.encode(), dict(headers)
