"""Ready embeddings from Parquet."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.embeddings import Embeddings
from serve_app.jobs.inputs.parquet_files import ParquetTable
from tests.jobs.inputs.samples import files, vectors, write_table

LISTS = pa.list_(pa.float32())


def opened(
    folder: Path,
    columns: dict[str, Any],
    model_id: str | None = "m",
    metadata: dict[str, str] | None = None,
) -> Embeddings:
    file = write_table(folder / "t.parquet", columns, group=10, metadata=metadata)
    return Embeddings(ParquetTable(files(), [str(file)]), model_id)


def test_from_any_row(tmp_path: Path) -> None:
    embedding = vectors(35, 8)
    labels = [f"person {number}" for number in range(35)]
    ids = list(range(100, 135))
    found = opened(tmp_path, {"id": ids, "label": labels, "embedding": embedding})
    found = pickle.loads(pickle.dumps(found))
    assert (found.total, found.dimension, found.model_id) == (35, 8, "m")
    expected = embedding.flatten().to_numpy().reshape(35, 8)
    for start in (0, 9, 10, 34):
        batches = list(found.batches(start, 6))
        assert batches[0].start == start
        assert max(len(batch.labels) for batch in batches) <= 6
        assert [label for batch in batches for label in batch.labels] == labels[start:]
        assert [number for batch in batches for number in batch.ids or []] == ids[start:]
        assert (np.concatenate([batch.vectors for batch in batches]) == expected[start:]).all()
    assert list(found.batches(35, 6)) == []


def test_rows_at_fault(tmp_path: Path) -> None:
    embedding = pa.array([None, [1, 0, 0], [3, 0, 4], [0, 0, 0], [1, 1]], LISTS)
    found = opened(tmp_path, {"label": ["A", None, "C", "D", ""], "embedding": embedding})
    assert found.dimension == 3
    (batch,) = found.batches(0, 100)
    assert batch.labels == ["A", "", "C", "D", ""]
    assert batch.ids is None
    assert batch.vectors[2].tolist() == pytest.approx([0.6, 0, 0.8])
    assert batch.faults == {
        0: "has no embedding",
        1: "has no label",
        3: "the embedding is all zeros",
        4: "has no label",
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": ["A"]}, "has the columns label; needed are label and embedding"),
        ({"label": [1], "embedding": [[1.0]]}, "column label is of type int64"),
        ({"label": ["A"], "embedding": [[1]]}, "embedding is of type list<.*int64>.*floating"),
        ({"label": ["A"], "embedding": [b"1"]}, "embedding is of type binary"),
        ({"label": ["A"], "embedding": pa.array([None], LISTS)}, "no row has an embedding"),
        ({"label": ["A"], "embedding": [[1.0]], "id": ["a"]}, "column id is of type string"),
        ({"label": ["A", "B"], "embedding": [[1.0], [1.0]], "id": [2, 1]}, "has id 1, after 2"),
        ({"label": pa.array([], pa.string()), "embedding": pa.array([], LISTS)}, "has no rows"),
    ],
)
def test_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        opened(tmp_path, columns)


def test_whose_embeddings(tmp_path: Path) -> None:
    columns = {"label": ["A"], "embedding": [[1.0]]}
    assert opened(tmp_path, columns, None, {"model_id": "k"}).model_id == "k"
    assert opened(tmp_path, columns, "k", {"model_id": "k"}).model_id == "k"
    with pytest.raises(InvalidRequestError, match="of the model k, and model_id says m"):
        opened(tmp_path, columns, "m", {"model_id": "k"})
    with pytest.raises(InvalidRequestError, match=r"does not say which model.*give model_id"):
        opened(tmp_path, columns, None)


def test_files_of_different_models_or_sizes(tmp_path: Path) -> None:
    def both(second: pa.Array, model: str) -> Embeddings:
        write_table(tmp_path / "a", {"label": ["A"], "embedding": vectors(1)},
                    metadata={"model_id": "m"})  # fmt: skip
        write_table(tmp_path / "b", {"label": ["B"], "embedding": second},
                    metadata={"model_id": model})  # fmt: skip
        return Embeddings(ParquetTable(files(), [f"{tmp_path}/a", f"{tmp_path}/b"]), None)

    assert both(vectors(1), "m").total == 2
    with pytest.raises(InvalidRequestError, match="of different models: k, m"):
        both(vectors(1), "k")
    with pytest.raises(InvalidRequestError, match="another column embedding than a"):
        both(vectors(1, 5), "m")


MILLION = """
import resource, sys, time
from tests.jobs.inputs.samples import files
from serve_app.jobs.inputs.embeddings import Embeddings
from serve_app.jobs.inputs.parquet_files import ParquetTable

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.monotonic()
found = Embeddings(ParquetTable(files(), [sys.argv[1]]), "m")
labels = 0
for batch in found.batches(0, 5000):
    assert not batch.faults
    labels += len(set(batch.labels))
last = next(found.batches(999_999, 5000))
assert last.labels == ["person 999999"], last.labels
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(labels, time.monotonic() - began, (after - before) / 1024)
"""


def test_a_million_labels(tmp_path: Path) -> None:
    """In one row group: the worst case for memory."""
    count = 1_000_000
    labels = pa.array([f"person {number}" for number in range(count)])
    columns = {"id": np.arange(count), "label": labels, "embedding": vectors(count, 8)}
    file = write_table(tmp_path / "t.parquet", columns, group=count)
    assert pq.read_metadata(file).num_row_groups == 1
    ran = subprocess.run(
        [sys.executable, "-c", MILLION, str(file)], capture_output=True, text=True, check=True
    )
    found, seconds, megabytes = (float(word) for word in ran.stdout.split())
    assert found == count
    assert seconds < 60
    assert megabytes < 150, "a few batches, and not the table"
