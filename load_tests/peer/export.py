"""Writes the stand-ins as model directories that PaddleX and the service read alike.

A program, as Paddle decides what it writes when it is imported: ``export(directory)`` runs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from load_tests.traffic.generator import ROOT
from tests.models.official_forms import inference_yml

DETECTOR, EXTRACTOR = "BlazeFace", "MobileFaceNet"


def export(directory: Path) -> None:
    """``directory``/BlazeFace and ``directory``/MobileFaceNet."""
    subprocess.run(
        [sys.executable, "-m", "load_tests.peer.export", str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FLAGS_enable_pir_api": "1"},
        check=True,
        capture_output=True,
        timeout=180,
    )


def main(directory: Path) -> None:
    import paddle
    from paddle.static import InputSpec

    from load_tests.peer.layers import BlazeFace, MobileFaceNet

    paddle.seed(0)
    specs: dict[str, tuple[Any, dict[str, Any]]] = {
        DETECTOR: (BlazeFace(), {"im_shape": [None, 2], "image": [None, 3, None, None],
                                 "scale_factor": [None, 2]}),
        EXTRACTOR: (MobileFaceNet(), {"x": [None, 3, 112, 112]}),
    }  # fmt: skip
    for name, (layer, shapes) in specs.items():
        layer.eval()
        folder = directory / name
        folder.mkdir(parents=True)
        spec = [InputSpec(shape, "float32", key) for key, shape in shapes.items()]
        paddle.jit.save(layer, str(folder / "inference"), input_spec=spec)
        (folder / "inference.yml").write_text(yaml.safe_dump(inference_yml(name)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
