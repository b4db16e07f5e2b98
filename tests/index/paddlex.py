"""PaddleX's side of an index directory: what it does with one, and those that it wrote."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import yaml

FIXTURES = Path(__file__).parent / "data" / "paddlex"


class PaddleX:
    """What PaddleX 3.4.3's IndexData.load and its pipeline do with a directory (written anew after
    the description of its behaviour: PaddleX itself is not installed here)."""

    def __init__(self, directory: Path) -> None:
        assert (directory / "vector.index").exists()
        assert (directory / "id_map.yaml").exists()
        self.index = faiss.read_index(str(directory / "vector.index"))
        with (directory / "id_map.yaml").open(encoding="utf-8") as file:
            content = yaml.safe_load(file)
        assert list(content) == ["id_map", "index_type", "metric_type"]
        self.id_map = {int(number): str(label) for number, label in content["id_map"].items()}
        assert self.index.ntotal == len(self.id_map)
        assert content["index_type"] in ("Flat", "IVF", "HNSW32")
        assert content["metric_type"] in ("IP", "L2")
        assert isinstance(self.index, faiss.IndexIDMap2)

    def labels_of(self, probe: object, k: int) -> list[str]:
        _, ids = self.index.search(np.asarray(probe, dtype=np.float32)[np.newaxis], k)
        return [self.id_map[number] for number in ids[0].tolist() if number >= 0]

    def append(self, vector: object, label: str) -> None:
        number = max(self.id_map, default=-1) + 1
        self.index.add_with_ids(
            np.asarray(vector, dtype=np.float32)[np.newaxis], np.array([number])
        )
        self.id_map[number] = label
