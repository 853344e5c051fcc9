"""Map the header of a file to the fields of its contract, or refuse the file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from common.messages import listed, shortened
from lake.mending import MENDS
from pipeline.model.contract import Contract
from pipeline.model.field import FieldSpec, Heading, headings
from pipeline.model.problem import Problem, Refused
from pipeline.readers.csv.explain import Column, fault_text, shown_text
from pipeline.readers.csv.record import split_record


@dataclass(frozen=True)
class Header:
    """The names in the file, in order, and the place of each of the contract's fields among them.

    Attributes:
        names: as the file has them.
        places: of the fields; None for one that the file lacks, which is null in every record.
        more: places of the columns that go into `_more`.
        drift: how the header differs from the contract, in words; None if it does not.
    """

    names: list[str]
    places: list[int | None]
    more: Sequence[int] = ()
    drift: str | None = None

    @property
    def more_names(self) -> list[str]:
        """The names of the columns that go into `_more`."""
        return [self.names[place] for place in self.more]

    def columns(self, fields: Iterable[FieldSpec]) -> list[Column]:
        """Return what a problem calls each column of the file, and the field that it is, if it is one."""
        columns: list[Column] = [(shortened(name), None) for name in self.names]
        for field, place in zip(fields, self.places, strict=True):
            if place is not None:
                columns[place] = (field.name, field)
        return columns


class HeaderRows:
    """Takes the first records of a file until its `header` is whole, or refuses the file."""

    def __init__(self, contract: Contract) -> None:
        """Make ready for a file of this contract; without a header, its columns are the contract's fields."""
        self.contract, self.header = contract, None if contract.dialect.header else _of_fields(contract)
        self._rows: list[list[str]] = []

    def add(self, line: int, raw: bytes, fault: str | None) -> None:
        """Add a record that begins in `line`; `fault` is the rule by which it is no record at all."""
        dialect = self.contract.dialect
        if dialect.first_lines and line != (expected := dialect.headerRows[len(self._rows)]):
            raise _no_record_in(expected)
        self._rows.append(_names(raw, fault, self.contract))
        if len(self._rows) == len(dialect.headerRows):
            self.header = map_header(join_rows(self._rows, dialect.headerJoin), self.contract)

    def end(self) -> Header:
        """Return the header, or refuse a file that ends before its header is whole."""
        if self.header is None:
            if self.contract.dialect.first_lines:
                raise _no_record_in(self.contract.dialect.headerRows[len(self._rows)])
            return map_header([], self.contract)
        return self.header


def join_rows(rows: Sequence[Sequence[str]], join: str) -> list[str]:
    """Join the rows of a header by column; empty cells are left out, and a short row goes on with its last cell.

    The column of marks has its name in the last row alone.
    """
    width = max(map(len, rows))
    filled = [[*row, *[row[-1]] * (width - len(row))] for row in rows]
    columns = zip(*filled, strict=True)
    return [MENDS if names[-1] == MENDS else join.join(filter(None, names)) for names in columns]


def _of_fields(contract: Contract) -> Header:
    names = [field.name for field in contract.fields]
    return Header(names, [*range(len(names))])


def _no_record_in(line: int) -> Refused:
    return Refused(
        Problem("header", f"no record begins in line {line:,}, where the header is by headerRows in the contract")
    )


def _names(raw: bytes, fault: str | None, contract: Contract) -> list[str]:
    """Return the cells of a row of the header, or refuse the file; `fault` is the rule by which it is no record."""
    if fault:
        message = f"the header is no record: {fault_text(fault, contract.dialect)}"
        raise Refused(Problem("header", message, raw=shown_text(raw)))
    if b"\0" in raw:
        raise Refused(Problem("binary", "the file is not text: its header has a NUL byte", raw=shown_text(raw)))
    try:
        return [*map(bytes.decode, split_record(raw, contract.dialect))]
    except UnicodeDecodeError as error:
        message = "the header is not UTF-8: save the file as UTF-8, or name its encoding in the contract"
        raise Refused(Problem("encoding", message, raw=shown_text(raw))) from error


def map_header(names: list[str], contract: Contract) -> Header:
    """Find each field of the contract in a header, or refuse the file with what was expected."""
    if tuple(names) == contract.header:
        return Header(names, [*range(len(names))])
    expected = [field.heading for field in contract.fields]
    actual = headings(names)
    if faults := list(_faults(actual, expected, contract)):
        wanted = listed([heading.text for heading in expected], contract.dialect.delimiter)
        shown = listed(names, contract.dialect.delimiter) if names else "an empty file"
        message = f"the header does not fit ({'; '.join(faults)}): expected {wanted}, found {shown}"
        raise Refused(Problem("header", message, raw=shown_text(contract.dialect.delimiter.join(names).encode())))
    places = {heading: place for place, heading in enumerate(actual)}
    more = [place for heading, place in places.items() if heading not in set(expected)] if contract.more else []
    return Header(names, [places.get(heading) for heading in expected], more, _drift(actual, expected))


def _drift(actual: list[Heading], expected: list[Heading]) -> str | None:
    present, wanted = set(actual), set(expected)
    beyond = [str(heading) for heading in actual if heading not in wanted]
    missing = [bare_name(heading) for heading in expected if heading not in present]
    reordered = [heading for heading in actual if heading in wanted] != [one for one in expected if one in present]
    return differences(beyond, missing, reordered=reordered)


def differences(
    beyond: Sequence[str], missing: Sequence[str], *, reordered: bool = False, more: bool = False
) -> str | None:
    """Return how a file that fits differs from the contract all the same; None if it does not.

    Args:
        beyond: what the file has and the contract has not.
        missing: what the contract has and the file has not.
        reordered: whether the order differs.
        more: whether the file has even more than `beyond`, which is long.
    """
    words = list[str]()
    if beyond:
        words.append(f"it has {listed(beyond).removesuffix(' more)') + ' or more)' if more else listed(beyond)}")
    if missing:
        words.append(f"it lacks {listed(missing)}")
    if reordered:
        words.append("the order differs")
    return "; ".join(words) or None


def _faults(actual: list[Heading], expected: list[Heading], contract: Contract) -> Iterator[str]:
    present, wanted = set(actual), set(expected)
    beyond = [heading for heading in actual if heading not in wanted]
    missing = [bare_name(heading) for heading in _lacking(present, contract)]
    # A name that occurs twice must be numbered by its field; where no field has the name, it does not matter.
    unnumbered = {field.heading.text for field in contract.fields if not field.says_which}
    twice = dict.fromkeys(heading.text for heading in beyond if heading.number > 1 and heading.text in unnumbered)
    unknown = [str(heading) for heading in beyond if heading.text not in twice]
    if twice:
        yield f'a name is there twice, {listed([*map(repr, twice)])}: a field says by "header" which it is'
    if missing:
        yield f"it lacks {listed(missing)}"
    if unknown and contract.match not in ("subset", "partial"):
        yield f"it has {listed(unknown)}"
    is_ordered = _without_marks(actual) == _without_marks(expected)
    if not is_ordered and contract.match == "exact" and not (missing or beyond):
        yield "the order differs"


def _without_marks(columns: list[Heading]) -> list[Heading]:
    """Return columns without that of the marks, which may be anywhere: a program may have moved it."""
    return [heading for heading in columns if heading.text != MENDS]


def _lacking(present: set[Heading], contract: Contract) -> list[Heading]:
    """Return the columns that a file lacks and must have; one of a fixed file that lacks its marks is not one."""
    lacking = [field for field in contract.fields if field.heading not in present]
    if contract.match in ("superset", "partial") and len(lacking) < len(contract.fields):
        lacking = [field for field in lacking if field.constraints.required or field.name == MENDS]
    return [field.heading for field in lacking]


def bare_name(heading: Heading) -> str:
    """Return a column that a file lacks for a message."""
    return heading.text if heading.text.strip() and heading.number == 1 else str(heading)
