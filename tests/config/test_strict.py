from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from serve_app.config.strict import (
    StrictModel,
    known_keys,
    mistakes,
    nearest,
    refuse_unknown,
    validate,
)
from serve_app.errors import ConfigError


class Engine(StrictModel):
    cylinders: int = Field(4, ge=1)
    fuel: str = "wind"


class Car(StrictModel):
    engine: Engine = Engine()
    colour: str = "red"
    trailer: Engine | None = None


def refusal(values: dict[str, object]) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(Car, values, "car")
    return str(caught.value)


def test_known_keys_become_a_frozen_model() -> None:
    car = validate(Car, {"engine": {"cylinders": 6}}, "car")
    assert car == Car(engine=Engine(cylinders=6))
    with pytest.raises(ValidationError):
        car.colour = "blue"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"color": "red"}, "car.color is not a known key; did you mean colour?"),
        ({"xyz": 1}, "car.xyz is not a known key; known are colour, engine, trailer"),
        ({"engine": {"fule": 1}}, "car.engine.fule is not a known key; did you mean fuel?"),
        (
            {"engine": {"cylinders": 0}},
            "car.engine.cylinders: Input should be greater than or equal to 1",
        ),
    ],
)
def test_a_bad_key_is_named_with_its_path(values: dict[str, object], message: str) -> None:
    assert refusal(values) == message


def test_every_bad_key_is_named_at_once() -> None:
    message = refusal({"color": 1, "engine": {"cylinders": "many"}})
    assert "car.color" in message
    assert "car.engine.cylinders" in message
    assert "\n" not in message


def test_mistakes_are_named_as_their_file_writes_them() -> None:
    written = {"engine": "motor", "engine.fuel": "petrol"}
    values = {"engine": {"cylinders": 0, "fuel": 3}, "color": 1}
    found = mistakes(Car, values, "", written)
    assert [message.split(" ")[0] for message in found] == ["motor.cylinders:", "petrol:", "color"]
    assert mistakes(Car, {"colour": "blue"}, "") == []


def test_a_bad_key_below_an_optional_section_is_named_too() -> None:
    assert "fule is not a known key" in refusal({"trailer": {"fule": 1}})


def test_unknown_keys_of_plain_mappings_are_refused() -> None:
    assert refuse_unknown({"a": 1}, {"a", "b"}, "top") == {"a": 1}
    assert refuse_unknown(None, {"a"}, "top") == {}
    with pytest.raises(ConfigError, match=r"^top\.alphx is not a known key; did you mean alpha\?$"):
        refuse_unknown({"alphx": 1}, {"alpha", "beta"}, "top")
    with pytest.raises(ConfigError, match=r"^alphx is not"):
        refuse_unknown({"alphx": 1}, {"alpha"}, "")


def test_known_keys_go_on_without_what_is_wrong() -> None:
    found: list[str] = []
    assert known_keys({"a": 1, "c": 2, "d": 3}, {"a", "b"}, "top", found) == {"a": 1}
    assert known_keys(3, {"a"}, "", found) == {}
    assert [message.split(" ")[0] for message in found] == ["top.c", "top.d", "file"]


@pytest.mark.parametrize("content", [[], "text", 3, [{"a": 1}]])
def test_what_is_no_mapping_is_refused(content: object) -> None:
    with pytest.raises(ConfigError, match="top must be a mapping"):
        refuse_unknown(content, {"a"}, "top")


def test_nearest_names_all_where_none_is_near() -> None:
    assert nearest("det_treshold", ["det_threshold", "rec_threshold"]).endswith("det_threshold?")
    assert nearest("qqq", ["b", "a"]) == "; known are a, b"
