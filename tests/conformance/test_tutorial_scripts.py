"""The tutorial's scripts, and those of the current documentation: only the import line changes.

They run as a user runs them: each in a process of its own, one after the other, in one directory.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT.parent / "shared" / "tutorial.md"
FACES = ROOT.parent / "shared" / "faces"

BUILD = """
index_data = pipeline.build_index(gallery_imgs="face_demo_gallery",
    gallery_label="face_demo_gallery/gallery.txt"{})
"""
SHOW = "\nfor res in output:\n    res.print()\n    res.save_to_img('./output/')\n"
CREATE = "from paddlex import create_pipeline\npipeline = create_pipeline(pipeline={})\n"
TYPES = ', index_type="IVF", metric_type="IP"'
CHANGE = (
    BUILD.format(TYPES)
    + """
index_data = pipeline.append_index(gallery_imgs="face_demo_gallery",
    gallery_label="face_demo_gallery/gallery.txt", index=index_data)
index_data = pipeline.remove_index(remove_ids="face_demo_gallery/remove_ids.txt", index=index_data)
index_data.save("face_index")
"""
)
FILE = '"./my_path/face_recognition.yaml"'
FRIENDS = '\noutput = pipeline.predict("friends1.jpg", index={})'

IN_OUR_WORDS = [
    CREATE.format('"face_recognition"')
    + BUILD.format("")
    + 'index_data.save("face_index")'
    + FRIENDS.format("index_data")
    + SHOW,
    CREATE.format(f'{FILE}, index="face_index"')
    + '\noutput = pipeline.predict("friends1.jpg")'
    + SHOW,
    CREATE.format('"face_recognition"') + CHANGE,
]
"""The same calls as the tutorial's, for where it is not beside the project."""

CURRENT = [
    IN_OUR_WORDS[0] + '    res.save_to_json("./output/")\n',
    CREATE.format(FILE)
    + FRIENDS.format('"face_index"')
    + SHOW
    + '    res.save_to_json("./output/")\n',
    IN_OUR_WORDS[2],
]
"""The current documentation's (PaddleX 3.x)."""


def tutorial_scripts() -> list[str]:
    if not TUTORIAL.exists():
        pytest.skip("the tutorial is in ../shared, which is not here")
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in blocks if "predict(" in block or "build_index(" in block]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """face_demo_gallery, friends1.jpg and a pipeline file, of real photographs."""
    gallery = tmp_path / "face_demo_gallery"
    (gallery / "images").mkdir(parents=True)
    people, friends = photographs()
    lines = []
    for name, image in people.items():
        (gallery / "images" / f"{name}.jpg").write_bytes(image)
        lines.append(f"images/{name}.jpg {name}\n")
    (gallery / "gallery.txt").write_text("".join(lines), encoding="utf-8")
    (gallery / "remove_ids.txt").write_text("0\n1\n", encoding="utf-8")
    (tmp_path / "friends1.jpg").write_bytes(friends)
    (tmp_path / "my_path").mkdir()
    (tmp_path / "my_path" / "face_recognition.yaml").write_text(
        "pipeline_name: face_recognition\nindex: None\ndet_threshold: 0.6\nrec_threshold: 0.4\n"
        "rec_topk: 5\nSubModules:\n  Detection: {model_name: YuNet, batch_size: 1}\n"
        "  Recognition: {model_name: SFace, batch_size: 1}\n"
    )
    return tmp_path


def photographs() -> tuple[dict[str, bytes], bytes]:
    """People by name, and a picture with several faces, one of them at least an enrolled one."""
    if FACES.exists():
        files = sorted((FACES / "scenes" / "portraits").rglob("*.jpg"))
        people = {f"{file.parent.name}_{file.stem}": file.read_bytes() for file in files}
        return people, (FACES / "scenes" / "obama_and_biden.jpg").read_bytes()
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    portrait = cv2.cvtColor(np.asarray(data.astronaut()), cv2.COLOR_RGB2BGR)
    beside = np.hstack([portrait, portrait[:, ::-1]])
    image, friends = (bytes(cv2.imencode(".jpg", one)[1].tobytes()) for one in (portrait, beside))
    return {"Eileen": image, "Collins": image}, friends


def run(script: str, directory: Path) -> str:
    changed = script.replace("from paddlex import", "from serve_app import")
    assert changed.count("\n") == script.count("\n")
    assert "paddlex" not in changed
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", changed],
        cwd=directory, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.models
@pytest.mark.parametrize("source", ["tutorial", "in our words", "current"])
def test_scripts_run_unchanged(source: str, directory: Path) -> None:
    scripts = {"in our words": IN_OUR_WORDS, "current": CURRENT}.get(source) or tutorial_scripts()
    assert len(scripts) == 3
    for script in scripts:
        out = run(script, directory)
        if "res.print()" in script:
            boxes = json.loads(out)["res"]["boxes"]
            assert len(boxes) >= 2
            assert any(box["labels"] for box in boxes)
    drawn = cv2.imread(str(directory / "output" / "friends1.jpg"))
    original = cv2.imread(str(directory / "friends1.jpg"))
    assert drawn.shape == original.shape
    assert (drawn != original).any()
    people = len((directory / "face_demo_gallery" / "gallery.txt").read_text().splitlines())
    id_map = (directory / "face_index" / "id_map.yaml").read_text(encoding="utf-8")
    assert id_map.count("\n  ") == 2 * people - 2
    assert "index_type: IVF" in id_map
