"""Writes and kills at once: the pipeline is ended with -9 at random moments while files are put."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from random import Random
from threading import Event

from tests.support.lake import Lake, company_csv
from tests.support.minio_server import until
from tests.support.program import Program
from tests.support.truth import BAD_ROWS, SPOILT

Write = tuple[str, bytes]  # a name below raw/, and the bytes


def version(number: int) -> bytes:
    """Return a small file: one in ten has bad rows, one in twenty has to be refused."""
    if number % 20 == 7:
        return SPOILT + b"%d\n" % number
    return company_csv(number, rows=4) + (BAD_ROWS if number % 10 == 3 else b"")


def new_files(writer: int, files: int) -> Iterator[Write]:
    """Return files with names of their own."""
    for number in range(files):
        yield f"companydata/{writer}/{number}.csv", version(number)


def overwrites(writer: int, keys: int, times: int | None = None) -> Iterator[Write]:
    """Return versions of the same keys, so many times or without an end."""
    for time_ in range(times) if times else count():
        for key in range(keys):
            yield f"companydata/again {writer}/{key}.csv", version(time_ * keys + key + writer)


def storm(
    lake: Lake,
    writers: Sequence[Iterable[Write]],
    *,
    seed: int,
    kills: int = 0,
    lives: tuple[float, float] = (0.05, 0.8),
    pause: float = 0.0,
    end: float = 60,
) -> int:
    """Put what each writer gives while the pipeline is killed again and again; then let it do the rest undisturbed.

    What three kills have met alone is loaded again by hand, as such a file is meant to be.

    Args:
        lake: where to.
        writers: each puts from a thread of its own, one after the other.
        seed: of the moments at which the pipeline is killed.
        kills: go on at least for so many, which ends the writers that have no end.
        lives: seconds that a pipeline lives at least and at most, from when it is at work.
        pause: seconds between two puts of one writer.
        end: seconds that the undisturbed rest may take.

    Returns: the number of kills.
    """
    chance, enough, done = Random(seed), Event(), 0
    with ThreadPoolExecutor(len(writers)) as pool:
        puts = [pool.submit(_put_all, lake, writer, pause, enough) for writer in writers]
        try:
            while done < kills or not (kills or all(one.done() for one in puts)):
                program = lake.start("run")
                until(lambda: at_work(lake, program), what="a pipeline at work")  # noqa: B023
                time.sleep(chance.uniform(*lives))
                code = program.kill()
                assert code == -9, f"it ended by itself with {code}:\n{program.log[-5000:]}"
                done += 1
        finally:
            enough.set()
    for one in puts:
        one.result()
    # On a slow machine three kills may meet the same file alone: then it is left for a person.
    for arguments in (("replay", "--status", "failed"), ("once",)):
        rest = lake.start(*arguments)
        assert rest.wait(end) == 0, rest.log[-5000:]
    return done


def at_work(lake: Lake, program: Program) -> bool:
    """Return whether a pipeline has begun or ended by itself: on a slow machine its start may outlast its life."""
    lock = lake.state / "lock"
    return not program.alive or (lock.exists() and lock.read_text() == str(program.pid))


def _put_all(lake: Lake, writes: Iterable[Write], pause: float, enough: Event) -> None:
    for name, content in writes:
        lake.put(name, content)
        if enough.wait(pause) if pause else enough.is_set():
            return
