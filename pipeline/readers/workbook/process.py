"""Start the program that reads a sheet, send it the file, and receive the rows."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from pipeline.model.problem import Problem, Refused
from pipeline.readers.base import Limits
from pipeline.readers.workbook.archive import Bounds
from pipeline.readers.workbook.cells import Block
from pipeline.readers.workbook.program import Request

PIECE = 1 << 20  # bytes of a file that are sent at a time
COMMAND = [sys.executable, "-m", "pipeline.readers.workbook.program"]


def sheet_rows(stream: BinaryIO, name: str | None, number: int | None, limits: Limits) -> Generator[Block, None, None]:
    """Yield the rows of a sheet in blocks.

    Args:
        stream: the workbook.
        name: the name of the sheet.
        number: where there is no name, the number of the sheet among the visible ones, from 1; None for the first.
        limits: what the workbook may grow to; it may take as much memory.

    Raises:
        Refused: the workbook cannot be read.
    """
    request = Request(name, number, Bounds(limits.grown, limits.ratio), limits.grown)
    with _program() as program:
        assert program.stdin
        assert program.stdout
        with suppress(BrokenPipeError):  # it has refused the file, or has ended: what it sent says so
            _send(program.stdin, request, stream)
        while (message := _receive(program, program.stdout, limits)) is not None:
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
    pickle.dump(request, end, 5)  # type: ignore[arg-type]
    while piece := stream.read(PIECE):
        pickle.dump(piece, end, 5)  # type: ignore[arg-type]
    pickle.dump(b"", end, 5)  # type: ignore[arg-type]
    end.flush()  # type: ignore[attr-defined]


def _receive(program: subprocess.Popen[bytes], end: object, limits: Limits) -> Block | None:
    """Receive the next rows, or None after the last ones."""
    try:
        message = pickle.load(end)  # type: ignore[arg-type] # noqa: S301 (from the program that was started here)
    except (EOFError, pickle.UnpicklingError):
        message = _end_of(program.wait())
    match message:
        case None | (int(), int(), int(), list()):
            return message
        case Problem():
            raise Refused(message)
        case MemoryError():
            raise Refused(_too_large(limits))
        case error:
            raise error


def _end_of(code: int) -> BaseException | Problem:
    """Return why the program ended without a word."""
    if code == -signal.SIGABRT:  # so Rust ends where it gets no memory
        return MemoryError()
    if code in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL):
        return Problem("workbook", "the workbook is damaged: what reads it broke down; open it and save it again")
    return RuntimeError(f"the program that reads workbooks ended with {code}: was it killed, is memory short?")


def _too_large(limits: Limits) -> Problem:
    message = (
        f"to read the workbook takes more than {limits.grown >> 20:,} MiB of memory: split it, save it as CSV, look "
        "for a cell far from the others, or raise PIPELINE_GROWN_MIB"
    )
    return Problem("size", message)
