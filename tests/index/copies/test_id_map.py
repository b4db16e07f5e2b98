"""id_map.yaml: any label comes back as it was, and a file that says nonsense is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidRequestError
from serve_app.index.copies import id_map
from serve_app.index.copies.id_map import read_id_map, write_id_map

NASTY = ["", " ", "null", "yes", "1", "007", "1e3", "2026-01-01", "~", "- a", "a: b", "#x", "'",
         '"', "!!python/object:os.system", "&a", "*a", "{", "[", "a\nb", "\ttab", "x " * 200,
         "张三", "😀", "\x00\x07\x85\u2028\ufeff", "<<", "=", "..."]  # fmt: skip


def written(directory: Path, ids: list[int], labels: list[str]) -> Path:
    file = directory / "id_map.yaml"
    with file.open("wb") as stream:
        write_id_map(stream, ids, labels, "Flat", "IP")
    return file


@pytest.mark.parametrize("block", [1, 2, 10_000])
def test_labels_come_back(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_map, "BLOCK", block)
    ids = [3 * number for number in range(len(NASTY))]
    file = written(tmp_path, ids, NASTY)
    expected = dict(zip(ids, NASTY, strict=True))
    found = read_id_map(tmp_path.joinpath)
    assert found.labels == expected
    assert (found.name, found.index_type, found.metric_type) == ("id_map.yaml", "Flat", "IP")
    # As PaddleX reads it, and whichever implementation of YAML it has.
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["id_map"] == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, labels: list[str]) -> None:
    directory = tmp_path_factory.mktemp("any")
    written(directory, list(range(len(labels))), labels)
    assert list(read_id_map(directory.joinpath).labels.values()) == labels


RAW = st.text("aZ9é张_ .-'\"#:,~yes\n\t&*!<=", max_size=8)
WORDS = st.sampled_from(
    ["yes", "No", "null", "NULL", "true", "off", "y", "n", "''", "'it''s'", "'"]
)


@given(st.lists(st.tuples(st.integers(-2, 20), RAW | WORDS), max_size=4), st.booleans())
def test_what_needs_no_yaml_is_read_as_yaml_reads_it(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, str]], broken: bool
) -> None:
    body = "".join(f"  {number}: {raw}\n" for number, raw in lines)
    text = f"id_map:\n{body}index_type: Flat\nmetric_type: IP\n" + (" " if broken else "")
    found = id_map._read_plain(text.encode())
    if found is None:
        return
    assert found == (yaml.safe_load(text)["id_map"], "Flat", "IP")


def test_ordinary_labels_need_no_yaml(tmp_path: Path) -> None:
    """A million of them take a second, not fifteen."""
    labels = ["Ann", "Ann-Marie B. Smith", "张三", "O'Neil: x", "007", "", "Иван Петров", "a_b"]
    file = written(tmp_path, list(range(len(labels))), labels)
    found = id_map._read_plain(file.read_bytes())
    assert found == (dict(enumerate(labels)), "Flat", "IP")


def test_it_is_what_paddlex_writes(tmp_path: Path) -> None:
    file = written(tmp_path, [0, 1], ["张三", "O'Neil: x"])
    reference = Path(__file__).parents[1] / "data/paddlex/paddlex343_unicode/id_map.yaml"
    assert file.read_bytes() == reference.read_bytes()
    file = written(tmp_path, [], [])
    reference = Path(__file__).parents[1] / "data/paddlex/paddlex343_empty/id_map.yaml"
    assert file.read_bytes() == reference.read_bytes()


def test_a_label_that_yaml_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="label of template 7 can't") as raised:
        written(tmp_path, [5, 7], ["good", "bad \ud800"])
    assert "bad" not in str(raised.value)


def test_either_name_is_read(tmp_path: Path) -> None:
    written(tmp_path, [0], ["Ann"]).rename(tmp_path / "index_info.yaml")
    assert read_id_map(tmp_path.joinpath).name == "index_info.yaml"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty or no mapping"),
        ("id_map: {", "is not valid YAML"),
        ("\x07", "is not valid YAML"),
        ("[" * 100_000, "is not valid YAML"),
        ("!!python/object/apply:os.system [ls]", "is not valid YAML"),
        ("index_type: Flat\nmetric_type: IP", "has no id_map"),
        ("id_map: {}\nindex_type: Flat", "has no metric_type"),
        ("id_map: [a]\nindex_type: Flat\nmetric_type: IP", "id_map is no mapping"),
        ("id_map: {a: b}\nindex_type: Flat\nmetric_type: IP", "an id is a str, not an integer"),
        ("id_map: {true: b}\nindex_type: Flat\nmetric_type: IP", "an id is a bool"),
        ("id_map: {-1: b}\nindex_type: Flat\nmetric_type: IP", "id -1 is out of range"),
        ("id_map: {1: yes}\nindex_type: Flat\nmetric_type: IP", "id 1 is a bool: put it in quotes"),
        ("id_map: {1: 2.50}\nindex_type: Flat\nmetric_type: IP", "id 1 is a float"),
    ],
)
def test_nonsense(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "id_map.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=message) as raised:
        read_id_map(tmp_path.joinpath)
    assert str(raised.value).startswith("id_map.yaml")


def test_numbers_are_labels_as_in_paddlex(tmp_path: Path) -> None:
    (tmp_path / "id_map.yaml").write_text(
        "id_map: {1: 17}\nindex_type: Flat\nmetric_type: IP", encoding="utf-8"
    )
    assert read_id_map(tmp_path.joinpath).labels == {1: "17"}


def test_neither_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"neither id_map.yaml nor index_info.yaml"):
        read_id_map(tmp_path.joinpath)
