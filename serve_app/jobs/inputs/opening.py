"""A job's input opened: which kind it is, and that it can be read, before any row is."""

from __future__ import annotations

from serve_app.config import FetchConfig, JobRequest
from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.jobs.inputs.allowed import AllowedInputs
from serve_app.jobs.inputs.annotations import read_annotations
from serve_app.jobs.inputs.csv_tables import read_csv
from serve_app.jobs.inputs.embeddings import Embeddings
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.folders import read_folders
from serve_app.jobs.inputs.parquet_files import MAGIC, ParquetTable
from serve_app.jobs.inputs.parquet_images import ParquetImages
from serve_app.jobs.inputs.places import WEB, beside, name_of, placed, scheme_of, shown_place
from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.jobs.inputs.rows import EmbeddingInput, ImageInput

LIST = "gallery.txt"
PARQUET = (".parquet", ".pq")


def open_input(
    request: JobRequest,
    allowed: AllowedInputs | None,
    fetch: FetchConfig | None = None,
    *,
    files: Files | None = None,
) -> ImageInput | EmbeddingInput:
    """What ``request`` names. ``allowed``: what it may name, None: anything. ``fetch``: private
    hosts that may be read all the same; ``files`` replaces what opens files.

    Raises InvalidRequestError with one sentence on what is wrong; FetchError and
    TooLargeError for a URL.
    """
    if allowed is not None:
        allowed.check_request(request)
    files = files or Files(fetch or FetchConfig(), allowed)
    try:
        return _Opening(request, files).open()
    except UnavailableError as error:  # now it is the input's fault; later it may pass
        raise InvalidRequestError(str(error)) from None


class _Opening:
    def __init__(self, request: JobRequest, files: Files) -> None:
        self._request = request
        self._files = files
        self._place = placed(request.input)

    def open(self) -> ImageInput | EmbeddingInput:
        is_directory = self._files.facts(self._place).is_directory
        return self._directory() if is_directory else self._file(self._place)

    def _directory(self) -> ImageInput | EmbeddingInput:
        kind = self._request.kind
        if kind == "directory":
            return read_folders(self._files, self._place, self._maker(self._place))
        there = self._files.names(self._place)
        lists = [place for place in there if name_of(place) == LIST]
        if lists and kind in ("auto", "annotation"):
            return read_annotations(self._files, lists[0], self._maker(self._place))
        tables = [
            place
            for place in there
            if place.lower().endswith(PARQUET) and not name_of(place).startswith((".", "_"))
        ]
        if tables and kind != "annotation":
            return self._parquet(ParquetTable(self._files, tables), self._place)
        if kind == "auto":
            return read_folders(self._files, self._place, self._maker(self._place))
        wanted = LIST if kind == "annotation" else "Parquet file"
        raise InvalidRequestError(f"{shown_place(self._place)} holds no {wanted}")

    def _file(self, place: str) -> ImageInput | EmbeddingInput:
        kind = self._request.kind
        if kind == "directory":
            why = "a URL" if scheme_of(place) in WEB else "a file"
            raise InvalidRequestError(f"{shown_place(place)} is {why}, not a directory of people")
        name = name_of(place).lower()
        if kind != "annotation" and (name.endswith(PARQUET) or self._is_parquet(place)):
            return self._parquet(ParquetTable(self._files, [place]), beside(place))
        if kind == "embeddings":
            raise InvalidRequestError(f"{shown_place(place)} is no Parquet file")
        if kind == "table" or (kind == "auto" and name.endswith(".csv")):
            return read_csv(self._files, place, self._maker(beside(place)))
        return read_annotations(self._files, place, self._maker(beside(place)))

    def _parquet(self, table: ParquetTable, root: str) -> ImageInput | EmbeddingInput:
        there = set(table.schema.names)
        kind = self._request.kind
        if kind == "embeddings" or (kind == "auto" and "embedding" in there):
            return Embeddings(table, self._request.model_id)
        return ParquetImages(table, self._maker(root))

    def _is_parquet(self, place: str) -> bool:
        if place.lower().endswith((".csv", ".txt")):
            return False
        return self._files.read(place, 0, len(MAGIC)) == MAGIC

    def _maker(self, beside_it: str) -> RowMaker:
        root = self._request.root
        return RowMaker(beside_it if root is None else placed(root), self._files.allowed)
