"""Descriptions of the faults by themselves, against readers that are not ours where one of them can tell."""

import csv
import gzip
import io
import re
import zlib
from random import Random

import pytest

from simulator.exam.bad_files import HEADERS
from simulator.exam.bad_records import FAULTS, SPOILS
from simulator.exam.bad_values import VALUES
from simulator.exam.case import SHAPES, Draw, File, digest, good_rows
from simulator.exam.exam import KINDS
from simulator.exam.file_encodings import FORM_KINDS, zstd
from simulator.exam.odd_records import ODDITIES

QUOTES = ["stray quote", "text after a quote", "torn record", "quote never closed"]
LIMITS = [kind for kind in FAULTS if kind.endswith("the limit")]
PLAIN = [kind for kind in SPOILS if kind not in QUOTES]  # the csv module finds their records
SEEDS = range(3)


def files(kind: str) -> list[File]:
    """Make some files of a kind, of each dataset that has it."""
    return [
        KINDS[kind].make(Draw(dataset, good_rows(dataset, seed, 0), Random(seed), 0.3))
        for dataset in KINDS[kind].datasets
        for seed in SEEDS
    ]


def text_of(file: File) -> str:
    data = file.versions[-1]
    if file.name.endswith(".gz"):
        data = gzip.decompress(data)
    if file.name.endswith(".zst"):
        data = zstd.decompress(data.rstrip(b"\0"))
    for bom, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(bom):
            return data.decode(encoding)
    return data.decode("utf-8", "surrogateescape")


def records(text: str) -> dict[int, list[str]]:
    """Read a file with the csv module: the cells of each record by the line it starts in."""
    reader, found, line = csv.reader(io.StringIO(text, newline="")), {}, 1
    for cells in reader:
        if cells:
            found[line] = cells
        line = reader.line_num + 1
    return found


@pytest.mark.parametrize("kind", [*PLAIN, *ODDITIES, *FORM_KINDS, "nothing wrong", "delivered twice", "corrected"])
def test_the_csv_module_finds_the_same_records_and_values(kind: str) -> None:
    for file in files(kind):
        found, shape = records(text_of(file)), SHAPES[file.dataset]
        header = found.pop(min(found))
        assert sorted(header) == sorted(shape.header)
        assert sorted(found) == sorted(
            {kept.line for kept in file.answer.kept} | {one[0] for one in file.answer.rejected}
        )
        for kept in file.answer.kept:
            row = dict(zip(header, found[kept.line], strict=True))
            assert digest([row[name] or None for name in shape.texts]) == kept.texts
            assert [float(row[name].strip(" \t")) for name in shape.sums] == [float(one) for one in kept.sums]


@pytest.mark.parametrize("kind", [*ODDITIES, *FORM_KINDS])
def test_what_is_odd_is_kept(kind: str) -> None:
    for file in files(kind):
        assert [rule for *_, rule in file.answer.rejected] in ([], ["fields"])
        assert file.answer.kept or kind == "header alone"


@pytest.mark.parametrize("kind", list(VALUES))
def test_a_spoiled_record_is_wrong_in_one_column(kind: str) -> None:
    for file in files(kind):
        names, found = SHAPES[file.dataset].header, records(text_of(file))
        known = {(column, rule) for column, _, rule in VALUES[kind][file.dataset]}
        written = {next(csv.reader([f"{text},"]))[0] for _, text, _ in VALUES[kind][file.dataset]}
        assert file.answer.rejected
        for line, column, rule in file.answer.rejected:
            assert (column, rule) in known
            assert found[line][names.index(column)] in written


@pytest.mark.parametrize("kind", [*QUOTES, *LIMITS, "a bit of all"])
def test_every_physical_line_is_accounted_for(kind: str) -> None:
    for file in files(kind):
        lines = text_of(file).split("\n")
        rejected = {line: rule for line, _, rule in file.answer.rejected}
        kept = {one.line for one in file.answer.kept}
        assert not kept & set(rejected)
        assert kept | set(rejected) == set(range(2, len(lines)))
        assert all('"' in lines[line - 1] for line, rule in rejected.items() if rule == "quote")
        assert all(max(map(len, lines)) > 50_000 for rule in rejected.values() if rule == "size")
        assert kind not in LIMITS or "size" in rejected.values()


def test_a_large_file_is_right_where_its_bad_lines_are_taken_out() -> None:
    csv.field_size_limit(1 << 20)
    for file in files("large with quoted line ends"):
        assert len(file.versions[-1]) > 4 << 20
        lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text_of(file))
        bad = {line for line, *_ in file.answer.rejected}
        good = [line for number, line in enumerate(lines, 1) if number not in bad]
        places = [number for number, _ in enumerate(lines, 1) if number not in bad]
        found = records("".join(good))
        assert [places[line - 1] for line in found][1:] == [kept.line for kept in file.answer.kept]
        texts = [digest(cells[:3]) for cells in found.values()][1:]
        assert texts == [kept.texts for kept in file.answer.kept]


def test_several_problems_are_several() -> None:
    for file in files("several problems"):
        columns = [(line, column) for line, column, _ in file.answer.rejected]
        assert len(set(columns)) == len(columns) >= 2 * len({line for line, _ in columns})


@pytest.mark.parametrize("kind", [*HEADERS, "overwritten by a broken one"])
def test_a_wrong_header_is_wrong(kind: str) -> None:
    for file in files(kind):
        [header, *_] = records(text_of(file)).values()
        assert sorted(header) != sorted(SHAPES[file.dataset].header)
        assert (file.answer.status, file.answer.rule) == ("refused", "header")


def test_broken_compression_is_broken() -> None:
    for kind in ("gzip cut short", "rubbish after gzip", "text under a gzip name"):
        for file in files(kind):
            with pytest.raises((EOFError, OSError, zlib.error)):
                gzip.decompress(file.versions[-1])
    for kind in ("zstd cut short", "rubbish after zstd", "text under a zstd name"):
        for file in files(kind):
            with pytest.raises((EOFError, zstd.ZstdError)):
                zstd.decompress(file.versions[-1])


def test_broken_utf16_is_broken() -> None:
    for file in files("UTF-16 that is broken"):
        with pytest.raises(UnicodeDecodeError):
            file.versions[-1].decode("utf-16")


@pytest.mark.parametrize("kind", list(KINDS))
def test_same_draw_same_file(kind: str) -> None:
    assert files(kind) == files(kind)
