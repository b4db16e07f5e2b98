"""Another version of the application's code, as an archive that a cluster fetches.

Only its version differs: what is drilled is how Ray exchanges code, not what the code does.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from load_tests.traffic.generator import ROOT

TOLD_IN = Path("serve_app/api/app.py")
"""Where the version stands that ``/openapi.json`` tells."""
VERSION = re.compile(r'(\bversion=")([^"]+)(")')


def make_release(file: Path, version: str) -> str:
    """Write the package with another version to ``file``; returns its URI for ``working_dir``.

    Raises ValueError if the version stands nowhere in the code any more.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted((ROOT / "serve_app").rglob("*")):
            if source.is_dir() or "__pycache__" in source.parts:
                continue
            inside = source.relative_to(ROOT)
            content = source.read_bytes()
            if inside == TOLD_IN:
                content = renamed(content.decode(), version).encode()
            # Ray takes away the one directory above.
            archive.writestr(str(Path("release") / inside), content)
    return file.as_uri()


def renamed(code: str, version: str) -> str:
    """``code`` that tells another version."""
    changed, count = VERSION.subn(rf"\g<1>{version}\g<3>", code)
    if count != 1:
        raise ValueError(f"{TOLD_IN} tells {count} versions")
    return changed
