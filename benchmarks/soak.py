"""Minutes of load with faulty files on a real MinIO: memory and file handles of the pipeline stay flat, the lake true.

    python -m benchmarks.soak [--seconds 600] [--rate 20] [--seed 1] [--folder]

Files of both datasets, with faults of every small kind that the simulator knows, are put over 500 names that are used
again. Each second the pipeline's memory (RSS) and open file handles are read; the slopes are those of the second half.
At the end the lake is held to the simulator's own truth about each file. `--folder` needs no Docker engine.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from threading import Event, Thread

from lake.stores import open_store
from simulator.exam.bad_records import FAULTS
from simulator.exam.case import SHAPES, Draw, Kind, good, good_rows
from simulator.exam.exam import Exam, Question
from simulator.exam.grade import grade
from tests.support.lake import Lake, new_lake
from tests.support.minio_server import remove_minio, start_minio, until
from tests.support.truth import verify

NAMES = 500
LARGE = 1 << 16  # bytes: larger files would make it a test of speed
KINDS = {"none": Kind(lambda draw: good(draw).file()), **FAULTS}


@dataclass
class Samples:
    """Samples of a process, one a second."""

    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    handles: list[float] = field(default_factory=list)

    def read(self, pid: int) -> None:
        """Read the process now."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        self.seconds.append(time.monotonic())
        self.mib.append(pages * 4096 / (1 << 20))
        self.handles.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))

    def told(self, name: str, unit: str) -> str:
        """Return a text with the first and last value of a series, and its slope over the second half, per hour."""
        values, half = getattr(self, name), len(self.seconds) // 2
        slope = statistics.linear_regression(self.seconds[half:], values[half:]).slope * 3600
        middle, end = statistics.median(values[half : half + 10]), statistics.median(values[-10:])
        return (
            f"{name}: {middle:.1f} half-way, {end:.1f} at the end, most {max(values):.1f}, {slope:+.1f} {unit} per hour"
        )


def question(seed: int, number: int, kinds: list[str]) -> Question:
    """Make one small file with a fault, under one of the names."""
    chance = Random(f"{seed}/{number}")
    while True:
        fault = chance.choice(kinds)
        dataset = chance.choice([name for name in KINDS[fault].datasets if name in SHAPES])
        file = KINDS[fault].make(Draw(dataset, good_rows(dataset, seed, number), chance, 0.2))
        if len(file.versions[-1]) <= LARGE:
            return Question(f"raw/{dataset}/soak/{number % NAMES:03d}{file.name}", fault, file)


def small_kinds(seed: int) -> list[str]:
    """Return the kinds whose files are small; one in three files has no fault."""
    kinds = []
    for name, kind in KINDS.items():
        chance, dataset = Random(seed), kind.datasets[0]
        if len(kind.make(Draw(dataset, good_rows(dataset, seed, 0), chance, 0.2)).versions[-1]) <= LARGE:
            kinds.append(name)
    return [*kinds, *["none"] * (len(kinds) // 2)]


def put_all(lake: Lake, rate: float, seed: int, stop: Event, newest: dict[str, Question]) -> None:
    """Put files at a steady rate until `stop`; a put that is late does not catch up in a burst."""
    kinds, number, due = small_kinds(seed), 0, time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        one = question(seed, number, kinds)
        lake.store.put(one.key, one.file.versions[-1])
        newest[one.key] = one
        number, due = number + 1, max(due + 1 / rate, time.monotonic() - 1)


@contextmanager
def made_lake(folder: Path, *, local: bool) -> Iterator[Lake]:
    """Make a lake in a new server, or in a folder."""
    if local:
        url = str(folder / "lake")
        yield new_lake(open_store(url), {"LAKE_URL": url}, folder / "state")
        return
    server = start_minio()
    try:
        store = server.new_store()
        yield new_lake(store, server.environ(store.bucket), folder / "state")
    finally:
        remove_minio(server)


def soak(lake: Lake, seconds: float, rate: float, seed: int) -> tuple[Samples, int, list[str]]:
    """Run it; give the samples, the number of loads, and what is wrong at the end."""
    samples, stop, newest = Samples(), Event(), {}
    writer = Thread(target=put_all, args=(lake, rate, seed, stop, newest))
    with lake.pipeline() as running:
        writer.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and writer.is_alive():
            time.sleep(1)
            samples.read(running.pid)
        stop.set()
        writer.join()
        until(lambda: lake.status()["backlog"]["files"] == 0, 120, "an end of the backlog")
        time.sleep(2)
    exam = Exam(seed, [replace(one) for one in newest.values()])
    report = grade(lake.store, exam.answers())
    found = [f"{one.key}: {one.fault}: {one.message}" for one in report.mistakes]
    return samples, running.log.count(" loaded key="), [*found, *filter(None, [verify(lake)])]


def main() -> None:
    """Run it once and print what was measured; exit with 1 if the lake is not true."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=20, help="files a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", action="store_true", help="in a folder, not in a bucket")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, made_lake(Path(folder), local=told.folder) as lake:
        samples, loads, found = soak(lake, told.seconds, told.rate, told.seed)
        status = lake.status()
    for line in found[:20]:
        print(line)
    print(samples.told("mib", "MiB"))
    print(samples.told("handles", "handles"))
    print(f"seconds={told.seconds:.0f} loads={loads} rows={status['rows']} latency_ms={status['latency_ms']}")
    print(f"differences={len(found)}")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
