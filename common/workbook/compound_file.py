"""Parse the container of `.xls` files, and find the error cells of a sheet, which calamine shows as empty.

The container is Microsoft's Compound File: streams in chains of sectors. The stream `Workbook` has BIFF records.
"""

import struct
from collections.abc import Iterator

from common.workbook.unreadable import Unreadable

ERRORS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
}  # fmt: skip

_FREE = 0xFFFFFFFA  # sector numbers from here on end a chain
_ENTRY = 128  # bytes of an entry of the directory
_BOF, _EOF, _FILEPASS, _SHEET, _FORMULA, _ERROR = 0x809, 0x0A, 0x2F, 0x85, 0x06, 0x205

Errors = dict[int, list[tuple[int, int, str]]]  # by row: first and last column, and the error; all from 0


class CompoundFile:
    """Streams of a compound file, by name."""

    def __init__(self, content: bytes) -> None:
        """Read the directory; `Unreadable` if the file is damaged."""
        self._content, self._mini = content, b""
        self.streams: dict[str, tuple[int, int]] = {}
        try:
            self._read_tables()
        except (struct.error, IndexError, ValueError) as error:
            raise _damaged(error) from error

    def _read_tables(self) -> None:
        head = self._content
        shift, mini_shift = struct.unpack_from("<HH", head, 30)
        first, self._cutoff, mini, _, more = struct.unpack_from("<I4xIIII", head, 48)
        if not 7 <= shift <= 16 or not 4 <= mini_shift <= shift:
            raise ValueError(f"sectors of 2^{shift} bytes")
        self._size, self._mini_size = 1 << shift, 1 << mini_shift
        tables = [*struct.unpack_from("<109I", head, 76)]
        for _ in range(len(head) // self._size):
            if more >= _FREE:
                break
            *part, more = self._numbers(self._sector(more))
            tables += part
        self._next = [number for table in tables if table < _FREE for number in self._numbers(self._sector(table))]
        directory = b"".join(map(self._sector, self._chain(first, self._next)))
        small = self._chain(mini, self._next)
        self._mini_next = [number for at in small for number in self._numbers(self._sector(at))]
        for at in range(0, len(directory) - _ENTRY + 1, _ENTRY):
            self._add_entry(directory[at : at + _ENTRY])

    def _add_entry(self, entry: bytes) -> None:
        length, kind = struct.unpack_from("<HB", entry, 64)
        start, size = struct.unpack_from("<II", entry, 116)
        if kind == 5:  # the root: its stream holds the small streams
            self._mini = b"".join(map(self._sector, self._chain(start, self._next)))
        elif kind == 2:
            self.streams[entry[: max(length - 2, 0)].decode("utf-16-le", "replace")] = (start, size)

    def _sector(self, number: int) -> bytes:
        sector = self._content[(number + 1) * self._size : (number + 2) * self._size]
        if not sector:
            raise IndexError(f"it ends before its sector {number:,}")
        return sector

    def _numbers(self, sector: bytes) -> tuple[int, ...]:
        return struct.unpack(f"<{len(sector) // 4}I", sector[: len(sector) // 4 * 4])

    def _chain(self, start: int, table: list[int]) -> Iterator[int]:
        for _ in range(len(table)):  # a chain that is longer runs in a circle
            if start >= _FREE:
                return
            yield start
            start = table[start]

    def read(self, name: str) -> bytes:
        """Return the content of a stream."""
        start, size = self.streams[name]
        if size >= self._cutoff:
            return b"".join(map(self._sector, self._chain(start, self._next)))[:size]
        step = self._mini_size
        return b"".join(self._mini[at * step : (at + 1) * step] for at in self._chain(start, self._mini_next))[:size]


def read_binary_workbook(content: bytes) -> bytes:
    """Return the BIFF records of an `.xls` file; `Unreadable` if it has none, or a password."""
    file = CompoundFile(content)
    if "EncryptedPackage" in file.streams:
        raise Unreadable("workbook", PASSWORD)
    names = [name for name in ("Workbook", "Book", "WORKBOOK", "BOOK") if name in file.streams]
    if not names:
        raise Unreadable("workbook", "the file is an old Office document, but not a workbook: save it as .xlsx")
    try:
        records = file.read(names[0])
    except (struct.error, IndexError) as error:
        raise _damaged(error) from error
    for kind, _, _ in _records(records, 0):
        if kind == _FILEPASS:
            raise Unreadable("workbook", PASSWORD)
        if kind in (_SHEET, _EOF):
            break
    return records


PASSWORD = "the workbook is protected by a password: save it without one"  # noqa: S105 (a message)


def _damaged(error: Exception) -> Unreadable:
    return Unreadable("workbook", f"the workbook is damaged, or was not sent whole: {error}")


def _records(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, place and size of each record from `at` on."""
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("<HH", data, at)
        yield kind, at + 4, size
        at += 4 + size


def binary_errors(data: bytes, sheet: int) -> Errors:
    """Return the error cells of a sheet, by its number from 0 among all sheets of an `.xls` file."""
    try:
        return _sheet_errors(data, sheet)
    except (struct.error, IndexError) as error:
        raise _damaged(error) from error


def _sheet_errors(data: bytes, sheet: int) -> Errors:
    sheets = [at for kind, at, size in _records(data, 0) if kind == _SHEET and size > 4]
    start = struct.unpack_from("<I", data, sheets[sheet])[0] if sheet < len(sheets) else len(data)
    errors: Errors = {}
    depth = 0
    for kind, at, size in _records(data, start):
        depth += (kind == _BOF) - (kind == _EOF)  # a chart within the sheet has its own cells
        if depth <= 0:
            break
        if depth == 1 and (code := _error_code(data, kind, at, size)) is not None:
            row, column = struct.unpack_from("<HH", data, at)
            errors.setdefault(row, []).append((column, column, ERRORS.get(code, "#ERROR!")))
    return errors


def _error_code(data: bytes, kind: int, at: int, size: int) -> int | None:
    if kind == _ERROR and size >= 8 and data[at + 7]:
        return data[at + 6]
    if kind == _FORMULA and size >= 14 and data[at + 12 : at + 14] == b"\xff\xff" and data[at + 6] == 2:
        return data[at + 8]
    return None
