"""Start the program that reads a sheet, send it the file, and receive the rows."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import BinaryIO, cast

from common.workbook.archive import Bounds
from common.workbook.cells import Block
from common.workbook.program import NO_MEMORY, Request
from common.workbook.unreadable import Unreadable

PIECE = 1 << 20  # bytes of a file that are sent at a time
# Where no memory is left for a backtrace, Rust waits for ever for the lock by which it writes it.
WITHOUT_BACKTRACE = ["env", "RUST_BACKTRACE=0"] if os.name == "posix" else []
COMMAND = [*WITHOUT_BACKTRACE, sys.executable, "-m", "common.workbook.program"]


def open_sheet(
    stream: BinaryIO, name: str | None, number: int | None, bounds: Bounds
) -> tuple[str, Generator[Block, None, None]]:
    """Return the name of a sheet, and its rows in blocks.

    Args:
        stream: the workbook.
        name: the name of the sheet.
        number: where there is no name, the number of the sheet among the visible ones, from 1; None for the first.
        bounds: what the workbook may grow to; it may take as much memory.

    Raises:
        Unreadable: the workbook cannot be read; also while the rows are read.
    """
    messages = _messages(stream, Request(name, number, bounds, bounds.grown), bounds)
    return cast(str, next(messages)), cast(Generator[Block, None, None], messages)


def _messages(stream: BinaryIO, request: Request, bounds: Bounds) -> Generator[str | Block, None, None]:
    with _program() as program:
        assert program.stdin
        assert program.stdout
        _send(program.stdin, request, stream)
        while (message := _receive(program, program.stdout, bounds)) is not None:
            yield message


@contextmanager
def _program() -> Iterator[subprocess.Popen[bytes]]:
    """Run the program while the block runs; it ends when its input is closed."""
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    program = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=nowhere)  # noqa: S603 (no word of it is input)
    try:
        yield program
    finally:
        program.kill()
        for end in (program.stdin, program.stdout):
            with suppress(BrokenPipeError):
                if end:
                    end.close()
        program.wait()


def _send(end: object, request: Request, stream: BinaryIO) -> None:
    """Send a file, unless the program has refused it before, or has ended: what it sent says so."""
    for message in chain([request], iter(lambda: stream.read(PIECE), b""), [b""]):
        try:  # around the pipe alone: the stream of a store may break, too
            pickle.dump(message, end, 5)  # type: ignore[arg-type]
            end.flush()  # type: ignore[attr-defined]
        except BrokenPipeError:
            return


def _receive(program: subprocess.Popen[bytes], end: object, bounds: Bounds) -> str | Block | None:
    """Receive the next message: the name of the sheet, rows, or None after the last ones."""
    try:
        message = pickle.load(end)  # type: ignore[arg-type] # noqa: S301 (from the program that was started here)
    except (EOFError, pickle.UnpicklingError):
        message = _end_of(program.wait())
    match message:
        case None | str() | (int(), int(), int(), list()):
            return message
        case MemoryError():
            raise _too_large(bounds)
        case error:
            raise error


def _end_of(code: int) -> BaseException:
    """Return why the program ended without a word."""
    if code in (-signal.SIGABRT, NO_MEMORY):  # by the signal Rust ends where it gets no memory
        return MemoryError()
    if code in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL):
        return Unreadable("workbook", "the workbook is damaged: what reads it broke down; open it and save it again")
    return RuntimeError(f"the program that reads workbooks ended with {code}: was it killed, is memory short?")


def _too_large(bounds: Bounds) -> Unreadable:
    message = (
        f"to read the workbook takes more than {bounds.grown >> 20:,} MiB of memory: split it, save it as CSV, look "
        "for a cell far from the others, or raise PIPELINE_GROWN_MIB"
    )
    return Unreadable("size", message)
