"""Cut chunks of UTF-8 into blocks of whole lines. A line ends with LF alone: a CR is white space in JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.model.problem import VALUE_LIMIT, Problem, Refused
from pipeline.readers.csv.explain import shown_text
from pipeline.readers.decode import mark_last

BLOCK_SIZE = 2 << 20  # bytes of text that are read at a time: their marks take twenty times as much
SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines as one text, and the number of the first.

    `cut` is the start of a line that is longer than any may be; it follows after the text.
    """

    text: bytes
    first: int
    cut: bytes | None = None


def cut_lines(chunks: Iterable[bytes], limit: int) -> Iterator[Lines]:
    """Cut text into blocks, each about as large as the chunks that come in; `Refused` if it is not JSON Lines."""
    number, rest, passing, begun = 1, b"", False, False
    for chunk, last in mark_last(chunks):
        if passing:  # the rest of a line that is too long
            _, end, chunk = chunk.partition(b"\n")
            passing, number = not end, number + len(end)
        text = rest + chunk
        stop = len(text) if last else text.rfind(b"\n") + 1
        rest, text = text[stop:], text[:stop]
        too_long = len(rest) > max(limit, VALUE_LIMIT)
        begun = begun or _check_begin(text + rest if last or too_long else text)
        lines = Lines(text, number, rest[:VALUE_LIMIT] if too_long else None)
        number += text.count(b"\n")
        passing, rest = passing or too_long, b"" if too_long else rest
        if text or too_long:
            yield lines


def _check_begin(text: bytes) -> bool:
    """Return whether a file has begun, with a line that is not empty; refuse one that is no JSON Lines at all."""
    start = text.lstrip(SPACE)
    line = start[: start.find(b"\n") + 1 or len(start)].rstrip(SPACE)
    if b"\0" in line:
        raise Refused(Problem("binary", "the file is not text: its first line has a NUL byte", raw=shown_text(line)))
    if line.startswith(b"["):
        raise Refused(Problem("json", _WHOLE.format("a JSON array", "'.[]'"), raw=shown_text(line)))
    if line == b"{":
        raise Refused(Problem("json", _WHOLE.format("one JSON object over many lines", "."), raw=shown_text(line)))
    return bool(line)


_WHOLE = "the file is {}: expected JSON Lines, one object in each line; make them with: jq -c {} FILE > FILE.jsonl"
