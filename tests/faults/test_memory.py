"""Files that are made to be too much: they are rejected or refused, and memory stays bounded."""

import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.lake import HEADER, Lake, company_csv

MIB = 1 << 20
LIMIT = 1024  # MiB of memory: what the stack's container has
BLOCK = b"x" * (4 * MIB)


def one_line() -> Iterator[bytes]:
    """Return 256 MiB without a line's end, in a quote that is never closed."""
    yield HEADER.encode() + b'\n1-Jan,"'
    for _ in range(64):
        yield BLOCK


def bomb() -> Iterator[bytes]:
    """Return 2 GiB in 2 MB: the same member of a gzip file again and again."""
    yield gzip.compress(HEADER.encode() + b"\n")
    member = gzip.compress((b"1-Jan,Dept 1,Store 1,1,1,1\n" * 200_000)[: 4 * MIB])
    for _ in range(512):
        yield member


# A process begins with the peak of the one that it was forked from: so the fork is of one that has done nothing else.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(process.returncode, usage.ru_maxrss)
"""


def peak_mib(lake: Lake, **variables: str) -> float:
    """Run `once`, and give its peak memory as the kernel counted it."""
    command = [sys.executable, "-c", MEASURE, "-m", "pipeline", "once"]
    measured = subprocess.run(command, env={**lake.environ, **variables}, capture_output=True, text=True)
    code, peak = map(int, measured.stdout.split())
    assert code == 0, measured.stderr
    return peak / (1024 if sys.platform != "darwin" else MIB)


@pytest.mark.parametrize(
    ("name", "pieces", "status"), [("line.csv", one_line, "loaded"), ("bomb.csv.gz", bomb, "refused")]
)
def test_memory_stays_bounded(local_lake, name, pieces: Callable[[], Iterator[bytes]], status):
    path = Path(local_lake.environ["LAKE_URL"], "raw/companydata", name)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.writelines(pieces())
    local_lake.put("companydata/good.csv", company_csv(1))

    assert peak_mib(local_lake, PIPELINE_GROWN_MIB="64") < LIMIT

    loads = local_lake.loads()
    assert loads["companydata/good.csv"]["rows_kept"] == 24
    row = loads[f"companydata/{name}"]
    assert (row["status"], row["rows_kept"]) == (status, 0)
    assert row["rows_rejected"] == (1 if status == "loaded" else 0)
    path.unlink()
