"""Programs that Paddle wrote, in both forms; that the results run is test_parameters' matter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve_app.errors import ModelError
from serve_app.models.conversion.paddle_module import import_paddle
from serve_app.models.conversion.program import float32_program, input_shapes
from tests.models.paddle_networks import FORMS, network_files

HALF = [form for form in FORMS if not form.endswith("32")]


def network_of(folder: Path, name: str, content: bytes) -> Path:
    directory = folder / "Net"
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_a_program_in_fp32_is_left_alone(paddle_forms: Path, form: str) -> None:
    assert float32_program(network_files(paddle_forms / form)[0]) is None


@pytest.mark.parametrize("form", HALF)
def test_no_fp16_is_left(paddle_forms: Path, tmp_path: Path, form: str) -> None:
    network, _ = network_files(paddle_forms / form)
    content = float32_program(network)
    assert content is not None
    assert content.count(b"f16") == content.count(b"float16") == 0
    assert float32_program(network_of(tmp_path, network.name, content)) is None


@pytest.mark.parametrize("form", ["json_half", "json_cast"])
def test_only_types_change_in_json(paddle_forms: Path, form: str) -> None:
    network, _ = network_files(paddle_forms / form)
    text = network.read_text(encoding="utf-8")
    assert text.count("t_f16") > 20
    expected = text.replace('"0.t_f16"', '"0.t_f32"').replace('"float16"', '"float32"')
    content = float32_program(network)
    assert content is not None
    assert json.loads(content) == json.loads(expected)


def test_strings_that_only_look_like_types_stay(tmp_path: Path) -> None:
    attribute = {"N": "name", "AT": {"#": "0.a_str", "D": "float16"}}
    brain = {"#": "1.a_dtype", "D": "bfloat16"}
    program = {"a": [attribute, brain, {"#": "0.t_bf16"}], "b": {"#": "0.t_f16"}}
    network = network_of(tmp_path, "inference.json", json.dumps(program).encode())
    content = float32_program(network)
    assert content is not None
    assert json.loads(content) == program | {"b": {"#": "0.t_f32"}}


def test_only_types_change_in_pdmodel(paddle_forms: Path) -> None:
    proto = import_paddle("paddle.base.proto.framework_pb2")
    network, _ = network_files(paddle_forms / "pdmodel_half")
    before, after = proto.ProgramDesc(), proto.ProgramDesc()
    before.ParseFromString(network.read_bytes())
    after.ParseFromString(float32_program(network))
    names = [variable.name for variable in before.blocks[0].vars]
    assert [variable.name for variable in after.blocks[0].vars] == names
    changed = [
        (one.type, attribute.name)
        for one, other in zip(before.blocks[0].ops, after.blocks[0].ops, strict=True)
        for attribute, new in zip(one.attrs, other.attrs, strict=True)
        if attribute != new
    ]
    assert changed == [("cast", "out_dtype"), ("cast", "in_dtype")]


@pytest.mark.parametrize("form", FORMS)
def test_shapes_of_the_inputs(paddle_forms: Path, form: str) -> None:
    assert input_shapes(network_files(paddle_forms / form)[0]) == {"x": (-1, 3, 112, 112)}


DAMAGE = {
    "half": lambda content: content[: len(content) // 2],
    "a little less": lambda content: content[:-3],
    "empty": lambda _: b"",
    "a page": lambda _: b"<html>Not found</html>",
    "other bytes": lambda _: b"\x00\x01hello" * 50,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("form", ["json_half", "pdmodel_half"])
def test_damaged_files(paddle_forms: Path, tmp_path: Path, form: str, damage: object) -> None:
    network, _ = network_files(paddle_forms / form)
    assert callable(damage)
    file = network_of(tmp_path, network.name, damage(network.read_bytes()))
    message = rf"^Net/{network.name} is cut short or damaged; fetch it again$"
    with pytest.raises(ModelError, match=message):
        input_shapes(file)
    if form == "pdmodel_half" or b"t_f16" in file.read_bytes():
        with pytest.raises(ModelError, match=message):
            float32_program(file)
    else:
        assert float32_program(file) is None  # Paddle refuses it: test_opening
