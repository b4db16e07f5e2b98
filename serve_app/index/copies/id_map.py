"""``id_map.yaml`` of PaddleX's index directory: which id has which label, in block style."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import yaml

from serve_app.errors import InvalidRequestError
from serve_app.index.copies.placing import Place
from serve_app.policy import MAX_TEMPLATE_ID

NAMES = ("id_map.yaml", "index_info.yaml")
"""What PaddleX writes; what its tutorial calls it."""

BLOCK = 10_000
DEPTH = 4
UNBROKEN = 1 << 30
"""Width of lines: labels are not folded."""

PLAIN_HEAD = "id_map:\n"
PLAIN_LINE = re.compile(
    r"  (0|[1-9][0-9]{0,18}): "
    r"(?:(?!(?i:yes|no|true|false|on|off|null|y|n)\n)([^\W\d_](?:[\w .-]*[\w.-])?)"
    r"|'((?:[ -&(-~\w]|'')*)')\n"
)
"""A label that begins with a letter and is none of YAML's words, or one in quotes that needs no
more than doubled quotes in it."""
PLAIN_TAIL = re.compile(r"index_type: ([A-Za-z]\w*)\nmetric_type: ([A-Za-z]\w*)\n", re.ASCII)

# libyaml's, where PyYAML has it: a million labels take seconds instead of minutes.
SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True)
class IdMap:
    """``name`` of the file it was read from; types as they are written there."""

    name: str
    labels: dict[int, str]
    index_type: str
    metric_type: str


def write_id_map(
    file: IO[bytes], ids: Sequence[int], labels: Sequence[str], index_type: str, metric_type: str
) -> None:
    """As ``yaml.dump`` of one mapping would, a block of templates at a time.

    Raises InvalidRequestError for a label that YAML can't hold, naming its id only.
    """
    for start in range(0, len(ids), BLOCK):
        part = slice(start, start + BLOCK)
        content = {"id_map": dict(zip(ids[part], labels[part], strict=True))}
        try:
            text = _dumped(content)
        except (UnicodeEncodeError, yaml.YAMLError):
            first = next(_unwritable(ids[part], labels[part]), ids[start])
            raise InvalidRequestError(
                f"the label of template {first} can't be written as YAML: remove it first"
            ) from None
        # Later blocks go on in the mapping that the first one opened.
        file.write(text if not start else text[text.index(b"\n") + 1 :])
    if not ids:
        file.write(_dumped({"id_map": {}}))
    file.write(_dumped({"index_type": index_type, "metric_type": metric_type}))


def read_id_map(place: Place) -> IdMap:
    """Of the directory whose files ``place`` finds. Raises InvalidRequestError that names the file
    and what is wrong with it."""
    file = next((found for name in NAMES if (found := place(name)).is_file()), None)
    if file is None:
        raise InvalidRequestError(f"there is neither {' nor '.join(NAMES)}: no index directory")
    try:
        with file.open("rb") as stream:
            if plain := _read_plain(stream.read()):
                return IdMap(file.name, *plain)
            stream.seek(0)
            _refuse_depth(stream)
            stream.seek(0)
            content = yaml.load(stream, Loader=SafeLoader)  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise InvalidRequestError(f"{file.name} is not valid YAML") from None
    except OSError as error:
        raise InvalidRequestError(f"{file.name} can't be read: {error.strerror}") from None
    if not isinstance(content, dict):
        raise InvalidRequestError(f"{file.name} is empty or no mapping")
    for key in ("id_map", "index_type", "metric_type"):
        if key not in content:
            raise InvalidRequestError(f"{file.name} has no {key}")
    if not isinstance(content["id_map"], dict):
        raise InvalidRequestError(f"{file.name}: id_map is no mapping of ids to labels")
    labels = dict(_pair(file.name, *pair) for pair in content["id_map"].items())
    return IdMap(file.name, labels, str(content["index_type"]), str(content["metric_type"]))


def _read_plain(content: bytes) -> tuple[dict[int, str], str, str] | None:
    """Labels, index type and metric of a file in which every line means what it seems to; None if
    one might not, and YAML has to be asked. It takes ten times as long."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not text.startswith(PLAIN_HEAD):
        return None
    labels: dict[int, str] = {}
    end = len(PLAIN_HEAD)
    while line := PLAIN_LINE.match(text, end):
        number, plain, quoted = line.groups()
        labels[int(number)] = plain or quoted.replace("''", "'")
        end = line.end()
    tail = PLAIN_TAIL.fullmatch(text, end)
    if tail is None or not labels or max(labels) >= MAX_TEMPLATE_ID:
        return None
    return labels, tail[1], tail[2]


def _refuse_depth(stream: IO[bytes]) -> None:
    """Raises ValueError. libyaml's loader recurses, and ends the process where the stack does."""
    depth = 0
    for event in yaml.parse(stream, Loader=SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise ValueError("deeper than an id map is")


def _dumped(content: dict[str, Any]) -> bytes:
    dumped: bytes = yaml.dump(
        content,
        Dumper=SafeDumper,
        allow_unicode=True,
        default_flow_style=False,
        encoding="utf-8",
        width=UNBROKEN,
    )
    return dumped


def _unwritable(ids: Sequence[int], labels: Sequence[str]) -> Iterator[int]:
    for number, label in zip(ids, labels, strict=True):
        try:
            _dumped({"id_map": {number: label}})
        except (UnicodeEncodeError, yaml.YAMLError):
            yield number


def _pair(name: str, number: object, label: object) -> tuple[int, str]:
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidRequestError(f"{name}: an id is a {type(number).__name__}, not an integer")
    if not 0 <= number < MAX_TEMPLATE_ID:
        raise InvalidRequestError(f"{name}: id {number} is out of range")
    # PaddleX takes what YAML takes for a number too. Anything else would change the label.
    if isinstance(label, bool) or not isinstance(label, str | int):
        kind = type(label).__name__
        raise InvalidRequestError(f"{name}: the label of id {number} is a {kind}: put it in quotes")
    return number, str(label)
