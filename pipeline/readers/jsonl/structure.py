"""Find the objects of a block by arithmetic on its bytes: each bracket, colon and comma that is not in a string.

Most lines of a file have the same keys in the same order, written in the same way. Such lines have the same marks, and
the same bytes between a brace or comma and the colon after it. So one line that is read with care is a template for all
lines like it, and their values are the bytes between the marks.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.jsonl.record import DEPTH

Offsets = NDArray[np.int64]
Mask = NDArray[np.bool_]

_WORD = 8  # bytes that are compared at a time

_OTHER, _QUOTE, _OPEN, _LIST, _CLOSE, _END, _COLON, _COMMA, _LINE, _CONTROL = range(10)
_CLASSES = bytearray(bytes([_CONTROL]) * 32 + bytes([_OTHER]) * 224)
for _number, _byte in enumerate(b'"{[}]:,\n', _QUOTE):
    _CLASSES[_byte] = _number
_STEPS = np.array([0, 0, 1, 1, -1, -1, 0, 0, 0, 0], np.int64)  # of the depth, by class


def hide_escapes(text: bytes) -> bytes:
    r"""Return a text of the same size where `\\`, `\"` and the CR of a CRLF are other characters.

    No text in UTF-8 has those of the escapes: two keys that differ in them differ in the shadow too.
    """
    shadow = text.replace(b"\\\\", b"\xff\xff").replace(b'\\"', b"\xff\xfe") if b"\\" in text else text
    return shadow.replace(b"\r\n", b" \n") if b"\r\n" in shadow else shadow


@dataclass(frozen=True)
class Marks:
    """The marks of each line's object: its braces, and the colons and commas between them; a line ends with an LF.

    Attributes:
        starts, stops: of each line, without its end.
        odd: lines that cannot be read by their marks (`bool[lines]`).
        first, count: number of a line's first mark, and how many it has.
        at, kind: offset and class of each mark.
        quotes: number of quotes before each mark.
    """

    shadow: bytes
    starts: Offsets
    stops: Offsets
    odd: Mask
    first: Offsets
    count: Offsets
    at: Offsets
    kind: NDArray[np.uint8]
    quotes: Offsets

    @cached_property
    def _words(self) -> NDArray[np.uint64]:
        """The eight bytes from each offset on, as one number."""
        padded = self.shadow + bytes(_WORD)
        return np.ndarray(len(self.shadow) + 1, "<u8", padded, strides=(1,))

    def alike(self, line: int, lines: Offsets) -> tuple[Offsets, Mask]:
        """Return the numbers of the marks of some lines with as many of them as `line` (`int64[lines, marks]`).

        Also returned is a mask of those that are written like it, but for the values.
        """
        marks = self.first[lines, None] + np.arange(self.count[line])
        template = self.first[line] + np.arange(self.count[line])
        same = (self.kind[marks] == self.kind[template]).all(axis=1)
        at, model = self.at[marks], self.at[template]
        same &= self._same(self.starts[lines], at[:, 0], self.starts[line], model[0])
        same &= self._same(at[:, -1], self.stops[lines], model[-1], self.stops[line])
        for place in range(0, len(template) - 1, 2):
            same &= self._same(at[:, place], at[:, place + 1], model[place], model[place + 1])
        return marks, same

    def _same(self, starts: Offsets, stops: Offsets, start: int, stop: int) -> Mask:
        """Mark the spans that have the same bytes as the span from `start` to `stop`."""
        size = int(stop - start)
        same: Mask = stops - starts == size
        for place in range(0, size, _WORD):
            unused = 8 * max(0, place + _WORD - size)  # bits of the word that are beyond the span
            here = np.minimum(starts + place, len(self.shadow))  # a shorter span may end with the text
            same &= (self._words[here] ^ self._words[start + place]) << np.uint64(unused) == 0
        return same


def find_marks(text: bytes) -> Marks:
    """Find the marks of a text of whole lines, each with its end."""
    shadow = hide_escapes(text)
    classes = np.frombuffer(shadow.translate(_CLASSES), np.uint8)  # five times as fast as numpy's `take`
    at = classes.nonzero()[0]
    kind = classes.take(at)
    ends = (kind == _LINE).nonzero()[0]
    stops = at[ends]
    starts = np.concatenate([[0], stops[:-1] + 1])
    sizes = np.diff(ends, prepend=-1)
    line = np.repeat(np.arange(len(ends)), sizes)
    quotes = np.cumsum(kind == _QUOTE)
    before = np.concatenate([[0], quotes[ends[:-1]]])
    odd = (quotes[ends] - before) % 2 != 0
    odd[line[kind == _CONTROL]] = True
    outside = ((quotes - np.repeat(before, sizes)) % 2 == 0) & (kind >= _OPEN) & (kind <= _COMMA)
    chosen = outside.nonzero()[0]
    chosen = chosen[_is_outermost(kind[chosen], line[chosen], odd)]
    count = np.bincount(line[chosen], minlength=len(ends))
    return Marks(shadow, starts, stops, odd, np.cumsum(count) - count, count, at[chosen], kind[chosen], quotes[chosen])


def _is_outermost(kind: NDArray[np.uint8], line: Offsets, odd: Mask) -> Mask:
    """Mark what belongs to the outermost object of a line. Lines whose brackets are nested too deep become odd."""
    steps = _STEPS.take(kind)
    depth = np.cumsum(steps)
    count = np.bincount(line, minlength=len(odd))
    depth -= np.repeat(np.concatenate([[0], depth])[np.cumsum(count) - count], count)
    odd[line[depth > DEPTH]] = True
    outermost: Mask = depth == (steps >= 0)  # a closing bracket counts before its mark
    return outermost
