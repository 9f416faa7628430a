"""Reads what a run of `matrix` wrote: its records, finished or still being written.

    from matrix_data import Run

    run = Run("runs/coral")
    len(run)                            # records so far
    for record in run: ...              # in the order of the file
    run["q-17"]                         # the record of a row; run["q-17", 2] is its trial 2
    run.records(status="ok")            # those with a status, a stop reason, an error code …
    run.messages("student")             # conversations, with the student as the assistant
    run.dataframe()                     # needs pandas

A run is a directory, or a file of JSON lines such as an export; several directories are the shards
of one run: `Run("runs/a", "runs/b")`. A record is a dict with the members that docs/files.md lists.
Integers are exact, whatever their size.

Every call looks at the files anew, so it sees what a live run has written by then. A line that is
still being written is left out. Compressed records (`run.compress`) need Python 3.14 or the package
`zstandard`. The index of the run (`index/`) is used where it is there and agrees with the records.

Python 3.9 or newer, without any package.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

if TYPE_CHECKING:
    from typing import Protocol, TypedDict

    import pandas  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

    class _Decompressor(Protocol):
        eof: bool
        unused_data: bytes

        def decompress(self, data: bytes) -> bytes: ...

    class _Said(TypedDict):
        role: str
        content: Any

    class Message(_Said, total=False):
        tool_calls: List[Dict[str, Any]]
        tool_call_id: str


__all__ = ["DataError", "Record", "Run"]

Record = Dict[str, Any]
Path = Union[str, "os.PathLike[str]"]

_PLAIN = "trajectories.jsonl"
_COMPRESSED = "trajectories.jsonl.zst"
_CHUNK = 1 << 20
# Frames of a run hold a few megabytes. The content of a larger one is passed on before its end.
_FRAME_MAX = 64 << 20

# The layout of the index: src/records/index/layout.ts of matrix.
_ROW_BYTES = 176
_HEADER = b"matrix-index 1 176\n"
_STATUSES = ("ok", "failed", "lost")
_OFFSET, _ID_OFFSET = 0, 1
_FRAME_BYTES, _IN_FRAME, _BYTES, _ID_BYTES, _TRIAL = 20, 21, 22, 23, 24
_ERROR, _STRINGS, _STOP_REASON, _KINDS, _LINE_SUM, _ROW_SUM = 35, 39, 40, 41, 42, 43
_OTHER = "(other)"

_COLUMNS = (
    "id",
    "trial",
    "attempt",
    "status",
    "stop_reason",
    "score",
    "error.code",
    "error.role",
    "error.message",
    "simulated",
    "usage.requests",
    "usage.prompt_tokens",
    "usage.completion_tokens",
    "cost",
    "timing.admitted_at",
    "timing.ended_at",
    "timing.total_ms",
)


class DataError(Exception):
    """A file or a record that could not be read. The message says what to do."""


class Run:
    """The records of a run, of the shards of one, or of files of JSON lines."""

    paths: Tuple[str, ...]

    def __init__(self, *paths: Path) -> None:
        if not paths:
            raise TypeError("Run() needs a run directory or a file of JSON lines")
        self.paths = tuple(os.fspath(path) for path in paths)
        for path in self.paths:
            if not os.path.exists(path):
                raise DataError(f"{path} is not there")
            if not os.path.isdir(path) and path.endswith(".parquet"):
                raise DataError(f"{path} is Parquet: read it with pandas.read_parquet")

    def __repr__(self) -> str:
        return f"Run({', '.join(map(repr, self.paths))})"

    def __iter__(self) -> Iterator[Record]:
        for path in self.paths:
            yield from _Source(path).records()

    def __len__(self) -> int:
        return sum(_Source(path).count() for path in self.paths)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __getitem__(self, key: Union[str, Tuple[str, int]]) -> Record:
        """The record of a row, or of one of its trials: `run["q-17"]`, `run["q-17", 2]`."""
        record = self._find(key)
        if record is None:
            raise KeyError(key)
        return record

    @property
    def manifest(self) -> Dict[str, Any]:
        """manifest.json of the run; of the first shard where there are several."""
        path = os.path.join(self.paths[0], "manifest.json")
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, NotADirectoryError):
            where = self.paths[0]
            raise DataError(f"{where} is not a run directory: it has no manifest.json") from None

    def ids(self) -> Iterator[str]:
        """The id of each record, once for each of its trials."""
        for path in self.paths:
            for id, _ in _Source(path).tasks():
                yield id

    def records(
        self,
        *,
        status: Optional[str] = None,
        stop_reason: Optional[str] = None,
        error: Optional[str] = None,
        trial: Optional[int] = None,
    ) -> Iterator[Record]:
        """The records that have all of these, in their order; `error` is an error code."""
        wanted = _Wanted(status, stop_reason, error, trial)
        for path in self.paths:
            yield from _Source(path).selected(wanted)

    def messages(self, role: Optional[str] = None, **wanted: Any) -> Iterator[List[Message]]:
        """The conversation of each record as lists of chat messages; `wanted` as for `records`.

        What `role` said is the assistant's, and what others of its conversation said is the user's.
        Without a role, messages stay as they are. Prompts are not in a record: `matrix export` adds
        them. Of a line that has `messages`, as an export does, these are taken as they are.
        """
        heard = self._heard_by(role)
        for record in self.records(**wanted) if wanted else self:
            if "history" not in record and isinstance(record.get("messages"), list):
                yield record["messages"]
            else:
                yield _conversation(record, role, heard)

    def dataframe(self, columns: Optional[List[str]] = None, **wanted: Any) -> pandas.DataFrame:
        """One row for each record; `wanted` as for `records`. Needs pandas.

        `columns` are paths such as "score", "row.topic" or "outcome.answer". Without them there are
        the columns of the record itself, and one for each member of its row and its outcome.
        """
        try:
            import pandas  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
        except ImportError:
            raise DataError("dataframe() needs pandas: pip install pandas") from None
        rows = (_row_of(record, columns) for record in (self.records(**wanted) if wanted else self))
        frame = pandas.DataFrame(list(rows))
        return frame if columns is None or len(frame) > 0 else pandas.DataFrame(columns=columns)

    def _find(self, key: object) -> Optional[Record]:
        id, trial = key if isinstance(key, tuple) and len(key) == 2 else (key, 0)
        if not isinstance(id, str) or not isinstance(trial, int):
            raise TypeError(f"{key!r} is not an id: ids are text, as in run['17'] or run['17', 2]")
        for path in self.paths:
            record = _Source(path).find(id, trial)
            if record is not None:
                return record
        return None

    def _heard_by(self, role: Optional[str]) -> Optional[List[str]]:
        """The roles whose messages are the conversation of a role; None for all of them."""
        if role is None or not os.path.exists(os.path.join(self.paths[0], "manifest.json")):
            return None
        roles: Dict[str, Any] = self.manifest["recipe"].get("roles", {})
        if role not in roles:
            raise DataError(f"the recipe has no role {role}; roles: {', '.join(roles)}")
        conversation = roles[role].get("conversation")
        return conversation if isinstance(conversation, list) else None


class _Wanted(NamedTuple):
    status: Optional[str]
    stop_reason: Optional[str]
    error: Optional[str]
    trial: Optional[int]

    def has(self, record: Record) -> bool:
        error = record.get("error")
        return (
            (self.status is None or record.get("status") == self.status)
            and (self.stop_reason is None or record.get("stop_reason") == self.stop_reason)
            and (self.error is None or (isinstance(error, dict) and error["code"] == self.error))
            and (self.trial is None or record.get("trial") == self.trial)
        )


def _conversation(
    record: Record, role: Optional[str], heard: Optional[List[str]]
) -> List[Message]:
    messages: List[Message] = []
    for hop in record.get("history", ()):
        result = hop.get("result")
        if not isinstance(result, dict) or "role" not in result or "content" not in result:
            continue
        if heard is not None and hop["role"] not in heard and hop["role"] != role:
            continue
        message: Message = dict(result)  # type: ignore[assignment]
        if role is not None and result["role"] in ("assistant", "user"):
            message["role"] = "assistant" if hop["role"] == role else "user"
        messages.append(message)
    return messages


def _row_of(record: Record, columns: Optional[List[str]]) -> Dict[str, Any]:
    if columns is not None:
        return {column: _at(record, column) for column in columns}
    if "history" not in record:
        return record
    row: Dict[str, Any] = {column: _at(record, column) for column in _COLUMNS}
    row["hops"] = len(record["history"])
    for name in ("outcome", "row"):
        for key, value in (record.get(name) or {}).items():
            row[f"{name}.{key}"] = value
    return row


def _at(record: Record, path: str) -> Any:
    """The member at a path, whose name may have dots itself; None where there is none."""
    if path in record:
        return record[path]
    first, _, rest = path.partition(".")
    inner = record.get(first)
    return _at(inner, rest) if rest and isinstance(inner, dict) else None


class _Source:
    """One file of records, with its index where there is one."""

    def __init__(self, path: str) -> None:
        self.index_folder: Optional[str] = None
        if os.path.isdir(path):
            compressed = os.path.join(path, _COMPRESSED)
            self.path = compressed if os.path.exists(compressed) else os.path.join(path, _PLAIN)
            self.index_folder = os.path.join(path, "index")
            if not os.path.exists(self.path) and not os.path.exists(
                os.path.join(path, "manifest.json")
            ):
                raise DataError(f"{path} is not a run directory: it has no manifest.json")
        else:
            self.path = path

    def records(self) -> Iterator[Record]:
        for number, line in _lines(self.path):
            yield self._parse(line, number)

    def count(self) -> int:
        with _Index.open(self.index_folder, self.path) as index:
            return index.size + sum(1 for _ in _lines(self.path, *index.end))

    def tasks(self) -> Iterator[Tuple[str, int]]:
        with _Index.open(self.index_folder, self.path) as index:
            for n in range(index.size):
                yield index.id(n), index.word(n, _TRIAL)
            for number, line in _lines(self.path, *index.end):
                record = self._parse(line, index.size + number)
                yield str(record.get("id")), int(record.get("trial", 0))

    def find(self, id: str, trial: int) -> Optional[Record]:
        with _Index.open(self.index_folder, self.path) as index:
            n = index.find(id, trial)
            if n is not None:
                return self._parse(index.line(n), n + 1)
            for number, line in _lines(self.path, *index.end):
                if _may_be(line, id, trial):
                    record = self._parse(line, index.size + number)
                    if record.get("id") == id and record.get("trial", 0) == trial:
                        return record
        return None

    def selected(self, wanted: _Wanted) -> Iterator[Record]:
        with _Index.open(self.index_folder, self.path) as index:
            for n in index.select(wanted):
                record = self._parse(index.line(n), n + 1)
                if wanted.has(record):
                    yield record
            for number, line in _lines(self.path, *index.end):
                record = self._parse(line, index.size + number)
                if wanted.has(record):
                    yield record

    def _parse(self, line: bytes, number: int) -> Record:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self.path}:{number}: this line is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise DataError(f"{self.path}:{number}: this line is not a JSON object")
        return record


def _may_be(line: bytes, id: str, trial: int) -> bool:
    """False for a line of matrix that begins with another id or trial."""
    if not line.startswith(b'{"format":"matrix-trajectory-1","id":'):
        return True
    name = json.dumps(id, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return line.startswith(b'{"format":"matrix-trajectory-1","id":%s,"trial":%d,' % (name, trial))


def _lines(path: str, offset: int = 0, skip: int = 0) -> Iterator[Tuple[int, bytes]]:
    """The whole lines after an offset, numbered from 1. `skip`: bytes of content to leave out."""
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        pieces = _contents(file, path) if path.endswith(".zst") else _pieces(file)
        number = 0
        rest = b""
        for piece in pieces:
            if skip:
                skipped = min(skip, len(piece))
                skip -= skipped
                piece = piece[skipped:]
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines:
                number += 1
                yield number, line


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while True:
        piece = file.read(_CHUNK)
        if not piece:
            return
        yield piece


def _contents(file: BinaryIO, path: str) -> Iterator[bytes]:
    """The contents of the whole frames. A frame that is still being written is left out."""
    frame = _decompressor(path)
    parts: List[bytes] = []
    held = 0
    for piece in _pieces(file):
        while piece:
            try:
                part = frame.decompress(piece)
            except Exception as error:
                # A power cut leaves zeros at the end.
                if not piece.strip(b"\0") and not any(p.strip(b"\0") for p in _pieces(file)):
                    return
                raise DataError(f"{path}: the file is damaged: {error}") from None
            parts.append(part)
            held += len(part)
            if frame.eof or held > _FRAME_MAX:
                yield b"".join(parts)
                parts, held = [], 0
            piece = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame = _decompressor(path)


def _decompressor(path: str) -> _Decompressor:
    try:
        from compression import zstd  # type: ignore[import-not-found]

        return zstd.ZstdDecompressor()  # type: ignore[no-any-return]
    except ImportError:
        pass
    try:
        import zstandard  # type: ignore[import-not-found]

        return zstandard.ZstdDecompressor().decompressobj()  # type: ignore[no-any-return]
    except ImportError:
        raise DataError(
            f"{path} is compressed: use Python 3.14, or pip install zstandard"
        ) from None


class _Index:
    """The index of a run, as far as it agrees with the records. An empty one stands for none."""

    size = 0
    # The place of the first record without a row: a byte offset, and bytes of content after it.
    end: Tuple[int, int] = (0, 0)

    def __init__(self) -> None:
        self._rows: Optional[BinaryIO] = None
        self._files: List[BinaryIO] = []
        self._strings: List[str] = [""]
        self._path = ""

    @staticmethod
    def open(folder: Optional[str], path: str) -> _Index:
        index = _Index()
        if folder is None:
            return index
        index._path = path
        try:
            if index._load(folder):
                return index
        except (OSError, ValueError, struct.error, DataError):
            pass
        index.__exit__()
        return _Index()

    def __enter__(self) -> _Index:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def id(self, n: int) -> str:
        row = self._row(n)
        self._texts.seek(int(_double(row, _ID_OFFSET)))
        return self._texts.read(_word(row, _ID_BYTES)).decode("utf-8")

    def word(self, n: int, place: int) -> int:
        return _word(self._row(n), place)

    def line(self, n: int) -> bytes:
        line = self._line(self._row(n))
        if line is None:
            raise DataError(f"{self._path}: record {n + 1} is not in its place any more")
        return line

    def find(self, id: str, trial: int) -> Optional[int]:
        if self.size == 0:
            return None
        key = struct.pack("<II", *_fingerprint(id, trial))
        self._keys.seek(0)
        keys = self._keys.read(self.size * 8)
        at = keys.find(key)
        while at != -1:
            n = at // 8
            if at % 8 == 0 and self.word(n, _TRIAL) == trial and self.id(n) == id:
                return n
            at = keys.find(key, at + 1)
        return None

    def select(self, wanted: _Wanted) -> Iterator[int]:
        """Places of the rows that may have what is wanted: a full table has no code for a text."""
        tests = [
            (_KINDS, 0xFF, self._codes(wanted.status, _STATUSES)),
            (_STOP_REASON, 0xFFFFFFFF, self._codes(wanted.stop_reason, self._strings)),
            (_ERROR, 0xFFFFFFFF, self._codes(wanted.error, self._strings)),
            (_TRIAL, 0xFFFFFFFF, None if wanted.trial is None else {wanted.trial}),
        ]
        active = [(place, mask, codes) for place, mask, codes in tests if codes is not None]
        rows_at_once = 4096
        for first in range(0, self.size, rows_at_once):
            count = min(rows_at_once, self.size - first)
            words = memoryview(self._read_rows(first, count)).cast("I")
            places: Sequence[int] = range(count)
            for place, mask, codes in active:
                column = words[place :: _ROW_BYTES // 4].tolist()
                places = [n for n in places if (column[n] & mask) in codes]
            for n in places:
                yield first + n

    def _codes(self, value: Optional[str], values: Any) -> Optional[set[int]]:
        if value is None:
            return None
        return {code for code, known in enumerate(values) if known in (value, _OTHER)}

    def _load(self, folder: str) -> bool:
        for name in ("rows", "keys", "texts"):
            self._files.append(open(os.path.join(folder, name), "rb"))
        self._rows, self._keys, self._texts = self._files
        self._files.append(open(self._path, "rb"))
        self._records = self._files[-1]
        if self._rows.read(len(_HEADER)) != _HEADER or struct.pack("<I", 1) != struct.pack("=I", 1):
            return False
        with open(os.path.join(folder, "strings.jsonl"), encoding="utf-8") as file:
            self._strings += [json.loads(line) for line in file.read().split("\n")[:-1]]
        sizes = [os.fstat(file.fileno()).st_size for file in self._files]
        self.size = max(0, min(sizes[0] // _ROW_BYTES - 1, sizes[1] // 8))
        while self.size > 0 and not self._is_inside(self.size - 1, sizes[2], sizes[3]):
            self.size -= 1
        if self.size == 0:
            return False
        samples = {n * (self.size - 1) // 15 for n in range(16)}
        if not all(self._agrees(n) for n in samples):
            return False
        self._set_end()
        return self.size > 0

    def _is_inside(self, n: int, texts: int, records: int) -> bool:
        row = self._row(n)
        if _row_sum(row) != _word(row, _ROW_SUM):
            return False
        offset, frame = int(_double(row, _OFFSET)), _word(row, _FRAME_BYTES)
        end = offset + frame if frame else offset + _word(row, _BYTES) + 1
        return (
            end <= records
            and int(_double(row, _ID_OFFSET)) + _word(row, _ID_BYTES) <= texts
            and _word(row, _STRINGS) <= len(self._strings)
        )

    def _agrees(self, n: int) -> bool:
        row = self._row(n)
        if _row_sum(row) != _word(row, _ROW_SUM):
            return False
        line = self._line(row)
        known = _word(row, _LINE_SUM)
        return line is not None and (known == 0 or (zlib.crc32(line) or 1) == known)

    def _set_end(self) -> None:
        last = self._row(self.size - 1)
        offset = int(_double(last, _OFFSET))
        if _word(last, _FRAME_BYTES) == 0:
            self.end = (offset + _word(last, _BYTES) + 1, 0)
            return
        # The rows of the last frame may be there in part, so its lines are read again.
        skip = 0
        while self.size > 0 and int(_double(self._row(self.size - 1), _OFFSET)) == offset:
            skip = self.word(self.size - 1, _IN_FRAME)
            self.size -= 1
        self.end = (offset, skip)

    def _line(self, row: bytes) -> Optional[bytes]:
        self._records.seek(int(_double(row, _OFFSET)))
        length, frame = _word(row, _BYTES), _word(row, _FRAME_BYTES)
        if frame == 0:
            line = self._records.read(length)
            return line if len(line) == length else None
        content = b""
        data = self._records.read(frame)
        while data:
            decompressor = _decompressor(self._path)
            content += decompressor.decompress(data)
            data = decompressor.unused_data if decompressor.eof else b""
        start = _word(row, _IN_FRAME)
        line = content[start : start + length]
        return line if len(line) == length else None

    def _row(self, n: int) -> bytes:
        return self._read_rows(n, 1)

    def _read_rows(self, first: int, count: int) -> bytes:
        assert self._rows is not None
        self._rows.seek((first + 1) * _ROW_BYTES)
        return self._rows.read(count * _ROW_BYTES)


def _word(row: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", row, place * 4)[0])


def _double(row: bytes, place: int) -> float:
    return float(struct.unpack_from("<d", row, place * 8)[0])


def _row_sum(row: bytes) -> int:
    total = _ROW_BYTES
    for word in struct.unpack_from(f"<{_ROW_SUM}I", row):
        total = (((total ^ word) * 0x9E3779B1) + 1) & 0xFFFFFFFF
    return total or 1


def _fingerprint(id: str, trial: int) -> Tuple[int, int]:
    """The key of a task: cyrb53 over UTF-16 code units, with both lanes."""
    units = memoryview(f"{trial}:{id}".encode("utf-16-le", "surrogatepass")).cast("H")
    a, b = 0xDEADBEEF, 0x41C6CE57
    mask = 0xFFFFFFFF
    for unit in units:
        a = ((a ^ unit) * 2654435761) & mask
        b = ((b ^ unit) * 1597334677) & mask
    a = (((a ^ (a >> 16)) * 2246822507) & mask) ^ (((b ^ (b >> 13)) * 3266489909) & mask)
    b = (((b ^ (b >> 16)) * 2246822507) & mask) ^ (((a ^ (a >> 13)) * 3266489909) & mask)
    return (a or 1, b)
