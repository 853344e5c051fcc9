"""Files of any shape: so many rows, so many columns, such a share of bad records; `growth.py` loads each in a process.

    python -m benchmarks.shapes FILE CONTRACT

A file repeats a piece of 10,000 records, so that 10 million take seconds to write. Loading is reading, checking, and
writing both Parquet files.
"""

import json
import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.known import clocked, tell
from benchmarks.measure import HERE
from benchmarks.sales import pieces
from pipeline.dataset.dataset import read_dataset
from pipeline.load.stage import stage
from pipeline.model.load_record import LoadRecord
from pipeline.service.allocators import set_allocators
from tests.support.project import DATASETS

PIECE = 10_000  # records
COMPANYDATA, SALES = DATASETS / "companydata.json", HERE / "datasets" / "sales.json"
HEADER = b"Month,Dept,Store,Sold,Returned,Ordered\n"
BAD = [
    b"1-Jan,Toys,North,many,1,1\n",
    b"1-Jan,Toys,North,1,-1,0x1F\n",
    b",Toys,,1,1,1\n",
    b"1-Jan,Toys,North,1,1\n",
    b"1-Jan,Toys,North,1,1,1,1\n",
    b"1-Jan,T\xffys,North,1,1,1\n",
    b"1-Jan,Toys\0,North,1,1,1\n",
    b'1-Jan,5"pipe,North,1,1,1\n',
    b'1-Jan,"a"b,North,1,1,1\n',
    b'"open,Toys,North,1,1,1\n',
]
# A type, and a cell of it that depends on the record's and the column's number.
KINDS: list[tuple[str, str]] = [
    ("integer", "{number}"),
    ("string", "word {number}/{column}"),
    ("number", "{number}.{column}"),
    ("date", "2026-{month:02}-{day:02}"),
    ("boolean", "true"),
]


def write(path: Path, header: bytes, records: list[bytes], rows: int) -> Path:
    """Write so many records, from the first again where there are no more."""
    with path.open("wb") as file:
        file.write(header)
        whole, rest = divmod(rows, len(records))
        piece = b"".join(records)
        for _ in range(whole):
            file.write(piece)
        file.write(b"".join(records[:rest]))
    return path


def sales(path: Path, rows: int) -> Path:
    """Write a file of ten columns."""
    header, piece = pieces(PIECE, 0.0)
    return write(path, header, piece.splitlines(keepends=True), rows)


def with_bad(path: Path, rows: int, share: float) -> Path:
    """Write a file of six columns, in which such a share of the records is bad, of every kind in turn."""
    chance, records = random.Random(rows), []
    for number in range(PIECE):
        name = f"{number % 28 + 1}-Jan,Dept {number % 50},Store {number % 7}"
        line = f"{name},{number % 1000},{number % 31},{number}\n".encode()
        records.append(BAD[number % len(BAD)] if chance.random() < share else line)
    return write(path, HEADER, records, rows)


def wide(path: Path, rows: int, columns: int, cell: str = "") -> tuple[Path, Path]:
    """Write a file of so many columns of every type, and its contract; `cell` stands in all of them if it is given."""
    contract = path.with_name(f"wide_{columns}.json")
    kinds = [KINDS[column % len(KINDS)] for column in range(columns)]
    fields = [{"name": f"c{column}", "type": kind} for column, (kind, _) in enumerate(kinds)]
    contract.write_text(json.dumps({"name": contract.stem, "schema": {"fields": fields}}))
    header = ",".join(field["name"] for field in fields) + "\n"
    records = islice(_wide_records([cell or form for _, form in kinds]), min(rows, PIECE // 10))
    return write(path, header.encode(), list(records), rows), contract


def _wide_records(forms: list[str]) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        facts = {"number": number, "month": number % 12 + 1, "day": number % 28 + 1}
        yield (",".join(form.format(column=column, **facts) for column, form in enumerate(forms)) + "\n").encode()


def load(path: Path, contract: Path) -> dict[str, object]:
    """Read, check and write one file."""
    dataset = read_dataset(contract)
    found: list[Any] = []
    record = LoadRecord(
        f"raw/{contract.stem}/{path.name}", contract.stem, "etag", path.stat().st_size, dataset.fingerprint
    )
    with path.open("rb") as stream:
        told = clocked(lambda: found.append(stage(stream, record, dataset, path.with_suffix(".staged"))))
    rows, own = found[0].record.rows_read, told["own"] * 1e6
    costs = {"row": own / rows, "cell": own / rows / len(dataset.contract.fields)}
    if found[0].rejected:
        costs["problem"] = own / pq.read_metadata(found[0].rejected).num_rows
    for made in filter(None, (found[0].clean, found[0].rejected)):
        made.unlink()
    return {**told, **costs, "status": found[0].record.status, "read": rows}


def main() -> None:
    """Load one file, and print what it took as the last line."""
    set_allocators()
    tell(load(*map(Path, sys.argv[1:])))


if __name__ == "__main__":
    main()
