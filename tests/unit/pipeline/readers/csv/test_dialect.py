"""Each property of a dialect, in both readers: what is a record, which line it has, and what is said of a bad one."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.contract import Contract
from pipeline.model.problem import Refused
from pipeline.readers.base import Limits
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.reference import read_csv_plainly
from pipeline.readers.csv.small_files import read_small_files
from tests.support.generated_csv import contract_of

FIELDS = [{"name": "a"}, {"name": "b"}]


@pytest.fixture
def contract(tmp_path):
    def contract(**dialect: object) -> Contract:
        return contract_of(tmp_path, schema={"fields": FIELDS}, dialect=dialect)

    return contract


def lines_of(content: bytes, contract: Contract, key: str = "a.csv", **settings) -> list[tuple]:
    """Return each row and each reject by its line, which must be the same in every way to read the file."""
    found = []
    for reader in (read_csv, read_csv_plainly):
        lines = []
        for batch in reader(io.BytesIO(content), key, contract, **settings):
            lines += [(row["_line"], row["a"], row["b"]) for row in batch.rows.to_pylist()]
            lines += [(one.line, one.rule, one.raw) for one in batch.problems]
        found.append(sorted(lines, key=lambda line: line[0]))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("dialect", "content", "lines"),
    [
        ({"header": False}, b"1,2\n3\n\n4,5\n", [(1, "1", "2"), (2, "fields", "3"), (4, "4", "5")]),
        ({"header": False}, b"", []),
        ({"headerRows": [3]}, b'A "title\n\na,b\n1,2\n', [(4, "1", "2")]),
        ({"headerRows": [2]}, b'a,b,c\n"a","b"\n1,2\n', [(3, "1", "2")]),
        ({"headerRows": [1, 3], "headerJoin": ""}, b"a,\n---\n,b\n1,2\n", [(4, "1", "2")]),
        ({"commentChar": "#"}, b'#"\na,b\n#x,"y\n1,#2\n"#",3\n', [(4, "1", "#2"), (5, "#", "3")]),
        ({"commentChar": "//"}, b'a,b\n"1\n//2",3\n//4,5\n/,6', [(2, "1\n//2", "3"), (5, "/", "6")]),
        ({"commentRows": [1, 4]}, b"t\na,b\n1,2\n---\n3,4\n", [(3, "1", "2"), (5, "3", "4")]),
        ({"commentRows": [3]}, b'a,b\n"1\n2",3\n4,5\n', [(2, "1\n2", "3"), (4, "4", "5")]),
        ({"footerRows": 2}, b'a,b\n1,2\n3\n\n"Sum\n,9\n', [(2, "1", "2"), (3, "fields", "3")]),
        ({"footerRows": 9}, b"a,b\n1,2\n", []),
        (
            {"skipInitialSpace": True},
            b'a, b\n 1,  2 \n "x", "y, z"\n1,2, "\n',
            [(2, "1", "2 "), (3, "x", "y, z"), (4, "quote", '1,2, "')],
        ),
        ({"escapeChar": "\\"}, b'a,b\n\\"1\\,,\\\\\n"\\"x""",\\\ny\n', [(2, '"1,', "\\"), (3, '"x"', "\ny")]),
        ({"escapeChar": "\\", "nullSequence": "\\N"}, b"a,b\n\\N,\\n\n", [(2, None, "n")]),
        (
            {"escapeChar": "\\", "doubleQuote": False},
            b'a,b\n"\\"","x"\n"""",x\n',
            [(2, '"', "x"), (3, "quote", '"""",x')],
        ),
        ({"doubleQuote": False}, b'a,b\n"",","\n"x""y",2\n', [(2, None, ","), (3, "quote", '"x""y",2')]),
        ({"nullSequence": "-"}, b'a,b\n-,"-"\n--,\n', [(2, None, None), (3, "--", None)]),
        (
            {"lineTerminator": "\r\n"},
            b'a,b\r\n1,2\n"3\n",4\r\n5,6',
            [(2, "lineTerminator", "1,2"), (3, "3\n", "4"), (5, "5", "6")],
        ),
        ({"lineTerminator": "\r"}, b"a,b\r1,2\r\n3,4\r", [(2, "lineTerminator", "1,2"), (3, "3", "4")]),
        (
            {"lineTerminator": "\n"},
            b"a,b\n1,2\r\n3,4\r\n5,6\n",
            [(2, "lineTerminator", "1,2"), (3, "lineTerminator", "3,4"), (4, "5", "6")],
        ),
    ],
    ids=str,
)
def test_what_is_a_record(contract, dialect, content, lines):
    found = contract(**dialect)
    for size in (1, 3, 1 << 20):
        assert lines_of(content, found, block_size=size) == lines
    [small] = read_small_files([("a.csv", content)], found)
    assert sorted([*small.rows["_line"].to_pylist(), *(one.line for one in small.problems)]) == [
        line[0] for line in lines
    ]


@pytest.mark.parametrize(
    ("dialect", "content", "said"),
    [
        ({"headerRows": [3]}, b"title\n\n\na,b\n", "no record begins in line 3, where the header is by headerRows"),
        ({"headerRows": [2, 3]}, b't\n"a\na","b"\nb,\n', "no record begins in line 3"),
        ({"headerRows": [2]}, b"a,b\n", "no record begins in line 2"),
        ({"headerRows": [1, 2]}, b"x\na,b\n", "found x a,x b"),
        (
            {"lineTerminator": "\n"},
            b"a,b\r\n1,2\r\n",
            "the header is no record: it ends in another way than the lineTer",
        ),
        ({"commentChar": "#"}, b"#\n#a,b", "found an empty file"),
        ({"escapeChar": "\\", "doubleQuote": False}, b'"a""b"\n', 'write a quote inside a quoted value as \\"'),
        ({"doubleQuote": False}, b'"a""b"\n', "write a quote inside a quoted value in another way"),
    ],
    ids=str,
)
def test_a_header_that_is_not_there(contract, dialect, content, said):
    for size in (1, 1 << 20):
        for reader in (read_csv, read_csv_plainly):
            with pytest.raises(Refused) as refusal:
                list(reader(io.BytesIO(content), "a.csv", contract(**dialect), block_size=size))
            assert refusal.value.problem.rule == "header"
            assert said in str(refusal.value)


def test_a_tsv_file_has_tabs_unless_the_contract_names_its_delimiter(contract):
    for key in ("a.tsv", "A.TSV"):
        assert lines_of(b"a\tb\n1\t2,3\n", contract(), key) == [(2, "1", "2,3")]
        assert lines_of(b"a,b\n1,2\t3\n", contract(delimiter=","), key) == [(2, "1", "2\t3")]
    assert lines_of(b"a;b\n1;2\n", contract(delimiter=";"), "a.tsv") == [(2, "1", "2")]
    tabs, commas = read_small_files([("a.tsv", b"a\tb\n1,\t2\n"), ("a.csv", b"a,b\n1,\t2\n")], contract())
    assert (tabs.rows["a"].to_pylist(), commas.rows["b"].to_pylist()) == (["1,"], ["\t2"])


def test_small_files_are_each_without_their_comments_and_footer(contract):
    dialect = contract(headerRows=[2], footerRows=1, commentChar="#")
    content = [f"title {number}\na,b\n#\n{number},2\nTotal,{number}".encode() for number in range(3)]
    batches = read_small_files([(f"{number}.csv", text) for number, text in enumerate(content)], dialect)
    assert [batch.rows.to_pylist() for batch in batches] == [
        [{"a": str(number), "b": "2", "_line": 4}] for number in range(3)
    ]


def test_a_footer_is_held_back_in_bounded_memory(contract):
    """The last records wait for the end of the file, over blocks smaller than one of them."""
    content = b"a,b\n" + b"".join(b"%d,%s\n" % (number, b"x" * 50) for number in range(3000))
    for size in (40, 1000):
        lines = lines_of(content, contract(footerRows=3), block_size=size)
        assert [line for line, *_ in lines] == [*range(2, 2999)]


def test_comments_of_many_forms_at_every_border(contract):
    """Half of the lines are comments, with quotes and of any length, and some quoted values have lines like them."""
    parts, good, line = [b"a,b\n"], [], 2
    for number in range(400):
        parts.append([b'#"\r\n', b"#" + b"c" * (number % 90) + b"\n", b"#\r"][number % 3])
        parts.append(b'"%d\n#",2\n' % number if number % 5 == 0 else b"%d,2\r\n" % number)
        good.append(line + 1)
        line += 3 if number % 5 == 0 else 2
    content = b"".join(parts)
    for size in (7, 64, 1 << 16):
        found = lines_of(content, contract(commentChar="#"), block_size=size, limits=Limits(record=40))
        assert [line for line, *_ in found] == good


CELL = st.text("a\",\\' é\n\r#", max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(CELL, CELL), max_size=4),
    st.booleans(),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONE]),
)
def test_what_python_writes_in_a_dialect_is_read_as_it_was(tmp_path_factory, rows, double, quoting):
    """The standard's dialect is modelled on Python's, so its writer is an independent judge of escapes and quotes."""
    with io.StringIO(newline="") as text:
        csv.writer(text, escapechar="\\", doublequote=double, quoting=quoting, lineterminator="\r\n").writerows(rows)
        content = text.getvalue().encode()
    dialect = {"header": False, "escapeChar": "\\", "doubleQuote": double}
    schema = {"fields": FIELDS, "missingValues": []}
    contract = contract_of(tmp_path_factory.getbasetemp(), schema=schema, dialect=dialect)
    assert [tuple(rest) for _, *rest in lines_of(content, contract)] == rows
