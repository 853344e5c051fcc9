"""Files in dialects of their own: what is above and below the records, comments, escapes, and no header at all."""

from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from simulator.exam.case import SHAPES, Answer, Draw, File, Kind, Row, Sheet, Verdict
from simulator.exam.file_encodings import Form, gzipped, zstandard

EXPORTS, HEADLESS = ("exports",), ("headless",)
NOTES = ["#", '# it says "so', "#;;;;;", "# 1-Jan;Toys;North;1;2;3", "#\\"]
END = "\r\n"

Written = Callable[[Row, Random], tuple[Row, str]]  # a row to what it says, and how that is written


def _escaped(cells: Iterable[str]) -> str:
    escapes = str.maketrans({mark: f"\\{mark}" for mark in '\\;"\r\n'})
    return ";".join(text.translate(escapes) for text in cells)


def _plain(row: Row, _: Random) -> tuple[Row, str]:
    return row, _escaped(row.values())


def _export(draw: Draw) -> Sheet:
    """Start a file: two lines of a title, one of them empty, and the header in line 3."""
    page = Sheet(draw, [END])
    for line in ('Sales of "all stores', "", ";".join(SHAPES[draw.dataset].header)):
        page.write(line)
    return page


def _written(write: Written, draw: Draw) -> File:
    """Write some of the rows in another way; the last line has the totals."""
    page, picked = _export(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        page.keep(*(write if number in picked else _plain)(row, draw.chance))
    page.write(draw.chance.choice(["Total;;;1;2;3", "in all", '"Total']))
    return page.file()


def _commented(draw: Draw) -> File:
    page = _export(draw)
    for row in draw.rows:
        for _ in range(draw.chance.randrange(3)):
            page.write(draw.chance.choice(NOTES))
        page.keep(*_plain(row, draw.chance))
    page.write("Total;;;1;2;3")
    page.write(draw.chance.choice(["# the end", "", "#"]))
    return page.file()


def _escapes(row: Row, chance: Random) -> tuple[Row, str]:
    texts = ["a;b", 'say "so"', "C:\\new", "two\nlines", "#", "two\r\nlines"]
    changed = row | {name: row[name] + chance.choice(texts) for name in ("Month", "Store")}
    return changed, _escaped(changed.values())


def _spaced(row: Row, chance: Random) -> tuple[Row, str]:
    changed = row | {"Store": "North; " + row["Store"], "Month": row["Month"] + ' "x"'}
    cells = [f'"{text}"'.replace('"x"', '\\"x\\"') for text in changed.values()]
    return changed, "".join([" " * chance.randrange(3), ("; " + " " * chance.randrange(2)).join(cells)])


def _null(row: Row, chance: Random) -> tuple[Row, str]:
    changed = row | {"Store": ""}
    return changed, _escaped(changed.values()).replace(";;", chance.choice([";\\N;", ";;", '; "";', ";  \\N;"]))


def _rejected(spoil: Callable[[Sheet, Row], None], draw: Draw) -> File:
    page, picked = _export(draw), draw.picked()
    for number, row in enumerate(draw.rows):
        page.keep(*_plain(row, draw.chance))
        if number in picked:
            spoil(page, row)
    page.write("Total;;;1;2;3")
    return page.file()


def _other_end(page: Sheet, row: Row) -> None:
    page.ends = [page.draw.chance.choice(["\n", "\r"])]
    page.reject(_escaped(row.values()), (None, "lineTerminator"))
    page.ends = [END]


def _one(text: str, problem: Verdict, page: Sheet, row: Row) -> None:
    page.reject(_escaped(row.values()).replace(row["Dept"], text, 1), problem)


def _no_header(draw: Draw) -> File:
    """Write the header in line 1, where it is a title."""
    page = Sheet(draw, [END])
    page.write(";".join(SHAPES[draw.dataset].header))
    for _ in range(draw.chance.randrange(3)):
        page.write("")
    return File(draw.dataset, ".csv", [bytes(page.data)], Answer("refused", "header"))


def _headless(suffix: str, delimiter: str, change: Form, draw: Draw) -> File:
    page, picked = Sheet(draw), draw.picked()
    page.write(draw.chance.choice(["", "Month", '"never closed', "1-Jan,Toys,North,1,2,3"]))
    for number, row in enumerate(draw.rows):
        changed = row | {"Store": ""} if number in picked else row
        page.keep(changed, delimiter.join(text or "-" for text in changed.values()))
        if number in picked:
            page.reject(delimiter.join([*row.values(), ""]), (None, "fields"))
    return page.file(suffix, change(bytes(page.data), draw.chance))


DIALECTS: dict[str, Kind] = {
    "title and totals": Kind(partial(_written, _plain), EXPORTS),
    "comments": Kind(_commented, EXPORTS),
    "escaped marks": Kind(partial(_written, _escapes), EXPORTS),
    "spaces before a quote": Kind(partial(_written, _spaced), EXPORTS),
    "word for null": Kind(partial(_written, _null), EXPORTS),
    "line end of another kind": Kind(partial(_rejected, _other_end), EXPORTS),
    "two quotes that are no quote": Kind(partial(_rejected, partial(_one, '"a""b"', (None, "quote"))), EXPORTS),
    "cell too many by a mark": Kind(partial(_rejected, partial(_one, "a;b", (None, "fields"))), EXPORTS),
    "header in another line": Kind(_no_header, EXPORTS),
    "tabs without a header": Kind(partial(_headless, ".tsv", "\t", lambda data, _: data), HEADLESS),
    "packed tabs": Kind(partial(_headless, ".tsv.zst", "\t", zstandard), HEADLESS),
    "txt file": Kind(partial(_headless, ".txt", ",", lambda data, _: data), HEADLESS),
    "packed txt file": Kind(partial(_headless, ".txt.gz", ",", gzipped), HEADLESS),
}
