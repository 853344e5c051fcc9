"""Workbooks with damaged bytes, and the process that reads them: always rows or a refusal, never a crash."""

import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.workbook import process
from common.workbook.archive import Bounds
from common.workbook.process import COMMAND, open_sheet
from common.workbook.program import NO_MEMORY, Request
from common.workbook.unreadable import Unreadable
from tests.support.workbooks import FILES, ONE, SHEET, WRITTEN, edited, error_at, of_rows

BOOKS = [ONE, WRITTEN[0].content, *((FILES / f"formulas.{kind}").read_bytes() for kind in ("xls", "ods", "xlsx"))]
BOUNDS = Bounds(32 << 20, 200)


def read(content: bytes) -> int | str:
    """Return how many rows come, or the rule of the refusal."""
    try:
        return sum(height for _, _, height, _ in open_sheet(io.BytesIO(content), None, None, BOUNDS)[1])
    except Unreadable as error:
        return error.rule


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(BOOKS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.floats(0.3, 1),
)
def test_damaged_bytes(content, changes, length):
    damaged = bytearray(content)
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    outcome = read(bytes(damaged[: max(1, int(len(damaged) * length))]))
    assert outcome in ("workbook", "size") or isinstance(outcome, int)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_xml(data):
    """The zip is sound, so that the damage reaches the XML."""
    part = data.draw(st.sampled_from(["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml", SHEET]))
    with zipfile.ZipFile(io.BytesIO(ONE)) as file:
        text = bytearray(file.read(part))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    outcome = read(edited(ONE, part, lambda _: bytes(text)))
    assert outcome in ("workbook", "size") or isinstance(outcome, int)


def test_a_number_of_a_row_that_is_none_is_the_next_row():
    """The error cell makes our own parser look; Python refuses to read so long a number."""
    book = of_rows(["a"], ["x"], change=lambda sheet: error_at(sheet, "A2"))
    row = b'<row r="' + b"9" * 5000 + b'"'
    assert read(edited(book, SHEET, lambda xml: xml.replace(b'<row r="2"', row))) == 2


def test_a_process_that_is_killed_is_no_fault_of_the_file(monkeypatch):
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    with pytest.raises(RuntimeError, match="ended with -9: was it killed, is memory short"):
        read(ONE)


@pytest.mark.parametrize(
    ("number", "rule", "words"),
    [(signal.SIGABRT, "size", "takes more than 32 MiB of memory"), (signal.SIGSEGV, "workbook", "damaged")],
)
def test_a_process_that_breaks_down_refuses_the_file(monkeypatch, number, rule, words):
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", f"import os; os.kill(os.getpid(), {number})"])
    with pytest.raises(Unreadable, match=words) as caught:
        open_sheet(io.BytesIO(ONE), None, None, BOUNDS)
    assert caught.value.rule == rule


HALF = "import os, pickle, sys; sys.stdout.buffer.write(pickle.dumps(list('rows'), 5)[:9]); sys.stdout.flush()"


def test_a_message_that_breaks_off_where_memory_ends_is_no_fault_of_the_program(monkeypatch):
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", f"{HALF}; os._exit({NO_MEMORY})"])
    with pytest.raises(Unreadable, match="takes more than 32 MiB of memory"):
        open_sheet(io.BytesIO(ONE), None, None, BOUNDS)


def test_a_workbook_is_refused_for_its_size_wherever_memory_ends(monkeypatch):
    """At the start of a thread, in calamine, or while its text becomes that of Python; and it never hangs."""
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    row = b"<row>" + b'<c t="inlineStr"><is><t>' + b"long " * 200 + b"</t></is></c>" + b"</row>"
    content = edited(ONE, SHEET, lambda data: data.replace(b"</sheetData>", row * 30_000 + b"</sheetData>"))
    for size in range(-48, 17, 8):
        request = Request(None, None, BOUNDS, size << 20)
        with pytest.raises(Unreadable) as caught:
            [*process._messages(io.BytesIO(content), request, BOUNDS)]
        assert (size, caught.value.rule) == (size, "size")


class Cut(io.BytesIO):
    """Store's stream that breaks off."""

    def read(self, _: int | None = -1, /) -> bytes:
        raise BrokenPipeError("the store is gone")


def test_a_stream_that_breaks_off_is_the_fault_of_its_store():
    """Not the end of the process, which has the same error, and which would wait for the rest of the file."""
    with pytest.raises(BrokenPipeError, match="the store is gone"):
        open_sheet(Cut(), None, None, BOUNDS)


def test_the_process_ends_when_nobody_reads_on():
    others = children()  # of tests before this one
    _, rows = open_sheet(io.BytesIO(ONE), None, None, BOUNDS)
    next(rows)
    [child] = children() - others
    rows.close()
    assert child not in children()


def test_the_process_ends_with_the_one_that_started_it():
    """As after kill -9: its input ends, though it waits for nothing, and though nobody reads its output."""
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe) as program:
        request = Request(None, None, BOUNDS, BOUNDS.grown)
        process._send(program.stdin, request, io.BytesIO(large()))
        program.stdin.close()
        assert program.wait(60) == 1


def large() -> bytes:
    """Write a workbook whose rows do not fit into a pipe."""
    row = b"<row>" + b"<c><v>1</v></c>" * 10 + b"</row>"
    return edited(ONE, SHEET, lambda data: data.replace(b"</sheetData>", row * 20_000 + b"</sheetData>"))


def children() -> set[int]:
    """Return the processes that this thread has started, by their ids."""
    return {*map(int, Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())}


def test_it_is_told_by_signals_of_a_group_to_go_on():
    """Ctrl-C goes to all processes of a terminal: the pipeline finishes what is in flight."""
    others = children()
    _, rows = open_sheet(io.BytesIO(large()), None, None, BOUNDS)
    next(rows)
    [child] = children() - others
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(child, number)
    assert sum(height for _, _, height, _ in rows) > 1_000
