"""A stream of bytes to blocks of records, every field still text, every record with its physical line."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import pyarrow as pa

from pipeline.contract import Contract
from pipeline.reader.problem import Problem, Refused
from storage import StoreUnavailable

BLOCK_ROWS = 65_536
RECORD_LIMIT = 1 << 20  # characters of one field

_CODECS = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True)
class Block:
    """Records in order: `columns[i][n]` is the text of record n in the contract's field i."""

    lines: list[int]
    columns: list[list[str]]


def read_blocks(stream: BinaryIO, key: str, contract: Contract) -> Iterator[Block]:
    """Yield the records of a CSV stream, mapped by name to the contract's fields; `Refused` says why it cannot."""
    csv.field_size_limit(RECORD_LIMIT)
    codec = next((codec for suffix, codec in _CODECS.items() if key.lower().endswith(suffix)), None)
    with pa.input_stream(stream, compression=codec) as plain:
        text = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        rows = csv.reader(text, delimiter=contract.delimiter, quotechar=contract.quote, strict=True)
        try:
            header = next((row for row in rows if row), [])
            positions = map_header(header, contract)
            records = _records(rows, len(header))
            while block := list(islice(records, BLOCK_ROWS)):
                yield Block([line for line, _ in block], [[row[at] for _, row in block] for at in positions])
        except csv.Error as error:
            raise Refused(_csv_problem(error, rows.line_num)) from error
        except UnicodeDecodeError as error:
            message = (
                f"the bytes {error.object[error.start : error.end].hex(' ')} are not UTF-8: save the file as UTF-8"
            )
            raise Refused(Problem("encoding", message)) from error
        except StoreUnavailable:
            raise
        except OSError as error:
            if codec is None:
                raise
            raise Refused(Problem("compression", f"the file is not whole {codec} data: {error}")) from error


def map_header(header: list[str], contract: Contract) -> list[int]:
    """Give the header's position of each field of the contract, or refuse the file saying what was expected."""
    names = [field.name for field in contract.fields]
    missing = [name for name in names if name not in header]
    unknown = [name for name in header if name not in names]
    wrong = {
        "a name is there twice": len(set(header)) < len(header),
        f"it lacks {', '.join(missing)}": bool(missing),
        f"it has {', '.join(map(repr, unknown))}": bool(unknown) and contract.match != "subset",
        "the order differs": header != names and contract.match == "exact",
    }
    if faults := [fault for fault, found in wrong.items() if found]:
        expected, found = contract.delimiter.join(names), contract.delimiter.join(header)
        message = f"the header does not fit ({'; '.join(faults)}): expected {expected}, found {found or 'nothing'}"
        raise Refused(Problem("header", message, line=1, raw=found))
    return [header.index(name) for name in names]


def _records(rows: Iterator[list[str]], width: int) -> Iterator[tuple[int, list[str]]]:
    line = rows.line_num + 1  # type: ignore[attr-defined]
    for row in rows:
        if len(row) == width:
            yield line, row
        elif row:
            message = f"expected {width} fields, found {len(row)}"
            raise Refused(Problem("fields", message, line, raw=",".join(row)))
        line = rows.line_num + 1  # type: ignore[attr-defined]


def _csv_problem(error: csv.Error, line: int) -> Problem:
    if "field limit" in str(error):
        return Problem("size", f"a field is longer than {RECORD_LIMIT:,} characters, or a quote is not closed", line)
    return Problem("quote", f"a quote stands where none may, or is not closed ({error})", line)
