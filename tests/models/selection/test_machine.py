"""Facts that a measurement holds for: what changes times changes them, and nothing else does."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from serve_app.config.device import Device
from serve_app.models.selection.machine import facts, version

X86 = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 26
model		: 2
model name	: AMD EPYC
stepping	: 1
cpu MHz		: 2596.120
flags		: fpu avx2 avx512f

processor	: 1
model name	: AMD EPYC
cpu MHz		: 1200.000
"""
ARM = """processor	: 0
BogoMIPS	: 243.75
Features	: fp asimd
CPU implementer	: 0x41
CPU part	: 0xd40
"""


def machine(folder: Path, cpuinfo: str | None, gpus: tuple[str, ...] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    if cpuinfo is not None:
        (folder / "cpuinfo").write_text(cpuinfo, encoding="utf-8")
    for number, name in enumerate(gpus):
        card = folder / "driver/nvidia/gpus" / f"0000:0{number}:00.0"
        card.mkdir(parents=True)
        (card / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 80\n")
    return folder


def test_the_same_machine_has_the_same_facts(tmp_path: Path) -> None:
    proc = machine(tmp_path, X86)
    first = facts(Device(), 1, proc)
    assert first["cpu"].startswith("AMD EPYC (")
    assert (first["threads"], first["device"]) == ("1", "cpu")
    assert int(first["cores"]) >= 1
    machine(tmp_path, X86.replace("2596.120", "3100.000"))  # its clock at this moment
    assert facts(Device(), 1, proc) == first


@pytest.mark.parametrize("changed", ["avx512f", "26", "stepping\t: 1"])
def test_another_processor_of_the_same_name_is_another(tmp_path: Path, changed: str) -> None:
    first = facts(Device(), 1, machine(tmp_path, X86))
    other = facts(Device(), 1, machine(tmp_path, X86.replace(changed, changed[:-1])))
    assert other["cpu"] != first["cpu"]


def test_arm_and_machines_that_dont_say(tmp_path: Path) -> None:
    arm = facts(Device(), 1, machine(tmp_path / "arm", ARM))
    other = facts(Device(), 1, machine(tmp_path / "other", ARM.replace("0xd40", "0xd0c")))
    assert arm["cpu"] != other["cpu"]
    assert facts(Device(), 1, machine(tmp_path / "silent", None))["cpu"]


def test_threads_and_device_count(tmp_path: Path) -> None:
    proc = machine(tmp_path, X86, ("NVIDIA A10", "NVIDIA L4"))
    assert facts(Device(), 2, proc) != facts(Device(), 1, proc)
    gpu = facts(Device("gpu", 1), 1, proc)
    assert (gpu["device"], gpu["gpus"]) == ("gpu:1", "NVIDIA A10, NVIDIA L4")
    assert "gpus" not in facts(Device(), 1, proc)
    assert facts(Device("gpu", 0), 1, machine(tmp_path / "bare", X86))["gpus"] == "unknown"


def test_versions_are_those_of_whichever_package_has_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"paddlepaddle-gpu": "3.2.2", "onnxruntime": "1.32.0"}

    def look_up(package: str) -> str:
        try:
            return there[package]
        except KeyError:
            raise metadata.PackageNotFoundError(package) from None

    monkeypatch.setattr(metadata, "version", look_up)
    assert version("paddle") == "3.2.2"
    assert version("openvino") is None
    found = facts(Device(), 1, machine(tmp_path, X86))
    assert found["paddle version"] == "3.2.2"
    assert found["openvino version"] == "none"
    there["openvino"] = "2026.4.1"
    assert facts(Device(), 1, tmp_path) != found
