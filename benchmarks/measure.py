"""Programs side by side: each run in a process of its own, in turns; medians, processor time, peak memory, a plot."""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tests.support.project import DATASETS

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PEERS = HERE.parent / ".venv" / "peers" / "bin" / "python"  # `make bench` puts it there
LONGEST = 3600.0  # seconds that one run may take

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Run:
    """One run: the seconds that the program timed itself, CPU seconds and peak MiB of its process, and what it said."""

    seconds: float
    cpu: float
    peak: float
    said: dict[str, Any]

    def figure(self, what: str) -> float:
        """Return a figure that the program printed, or one that was measured of its process."""
        return float(self.said[what] if what in self.said else getattr(self, what))


@dataclass(frozen=True)
class Bar:
    """Promise, measured value, and whether the promise holds."""

    what: str
    promised: str
    measured: str
    holds: bool


def run(command: Command) -> Run | None:
    """Run a program whose last line is JSON with `seconds` in it, and maybe `peak`; None if it fails."""
    _forget_own_peak()
    os.sync()  # so that nobody waits for a disk that is still busy with what another has written
    with tempfile.TemporaryFile() as out:
        environment = os.environ | {"PYTHONPATH": str(HERE.parent), "PIPELINE_DATASETS": str(DATASETS)}
        process = subprocess.Popen(
            [str(one) for one in command], stdout=out, stderr=subprocess.DEVNULL, env=environment
        )
        timer = Timer(LONGEST, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            return None
        out.seek(0)
        said = json.loads(out.read().splitlines()[-1])
    scale = 1 << (20 if sys.platform == "darwin" else 10)
    peak = said.pop("peak", used.ru_maxrss / scale)
    cpu = said.pop("cpu", used.ru_utime + used.ru_stime)  # a program that leaves its imports out says so
    return Run(said.pop("seconds"), cpu, peak, said)


def _forget_own_peak() -> None:
    """Reset the peak memory of this process, with which a child begins; on Linux, the present memory remains."""
    if (peak := Path("/proc/self/clear_refs")).exists():
        pa.default_memory_pool().release_unused()
        peak.write_text("5")


def in_turns(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Run]]:
    """Run all of them `rounds` times, one after the other in each round; who fails is not asked again."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    failed = set()
    for name in turns(list(commands), rounds):
        if name in failed:
            continue
        if done := run(commands[name]):
            runs[name].append(done)
        else:
            failed.add(name)
    return runs


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield each name once a round, and say so; every other round backwards, so that nobody always follows the same."""
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            yield name


def median(runs: Sequence[Run], what: str) -> float:
    """Return the median of a figure, such as `seconds`, `cpu` or `peak`; NaN if there was no run."""
    return statistics.median(one.figure(what) for one in runs) if runs else float("nan")


def ratios(runs: Mapping[str, Sequence[Run]], base: str) -> dict[str, float]:
    """Return each program's median ratio to the base's time in the same round, because the machine's speed changes."""
    return {
        name: statistics.median(one.seconds / other.seconds for one, other in zip(done, runs[base], strict=True))
        for name, done in runs.items()
        if done
    }


def rows_of(runs: dict[str, list[Run]]) -> list[dict[str, Any]]:
    """Return the medians as plain data; a program that failed has none."""
    found = []
    for name, done in runs.items():
        figures = {what: median(done, what) for what in ("seconds", "cpu", "peak")}
        shown = {what: None if math.isnan(figure) else round(figure, 3) for what, figure in figures.items()}
        found.append({"name": name, **shown, **(done[0].said if done else {}), "all": [one.seconds for one in done]})
    return found


def show_bars(console: Console, bars: Sequence[Bar], title: str = "bars") -> None:
    """Print each bar in a line."""
    table = Table("bar", "promised", "measured", "holds", title=title)
    for bar in bars:
        table.add_row(bar.what, bar.promised, bar.measured, "yes" if bar.holds else "[bold]NO[/bold]")
    console.print(table)


def save(name: str, results: Mapping[str, Any], bars: Sequence[Bar]) -> Path:
    """Write results as JSON, with the machine that they are of."""
    RESULTS.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    path = RESULTS / f"{name}.json"
    content = {"machine": machine, "results": results, "bars": [asdict(bar) for bar in bars]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def plot(path: Path) -> None:
    """Draw saved results beside them, by the Python that can."""
    subprocess.run([PEERS, HERE / "plot.py", path], check=True, timeout=120)
