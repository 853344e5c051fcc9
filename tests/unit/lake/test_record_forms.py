"""Forms of records: a record of very many lines is put together in a time that grows with its length."""

from collections.abc import Iterator
from itertools import chain, repeat

from lake.record_forms import Cells


class Numbered(Iterator[str]):
    """Lines as an export reads them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.number, self._lines = 0, lines

    def __next__(self) -> str:
        self.number += 1
        return next(self._lines)


def test_a_record_of_millions_of_lines_is_put_together():
    """If each line were looked at as often as lines follow it, this would take twenty minutes."""
    inside, last, after = repeat("\n", 2_000_000), '",x,1\n', "b,2,2\n"
    lines = Numbered(chain(inside, [last, after]))
    assert Cells({}, ".csv", marked=False).whole('"\n', lines) == '"\n' + "\n" * 2_000_000 + last
    assert next(lines) == after
