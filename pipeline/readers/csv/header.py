"""Map the header of a file to the fields of its contract, or refuse the file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.model.contract import Contract
from pipeline.model.field import FieldSpec, Heading, headings
from pipeline.model.problem import Problem, Refused, listed, shortened
from pipeline.readers.csv.explain import FAULTS, Column, shown_text
from pipeline.readers.csv.record import split_record


@dataclass(frozen=True)
class Header:
    """The names in the file, in order, and the place of each of the contract's fields among them."""

    names: list[str]
    places: list[int]

    def columns(self, fields: Iterable[FieldSpec]) -> list[Column]:
        """Return what a problem calls each column of the file, and the field that it is, if it is one."""
        columns: list[Column] = [(shortened(name), None) for name in self.names]
        for field, place in zip(fields, self.places, strict=True):
            columns[place] = (field.name, field)
        return columns


def read_header(raw: bytes, fault: str | None, contract: Contract) -> Header:
    """Read a file's first record, or refuse the file; `fault` is the rule by which it is no record at all."""
    if fault:
        raise Refused(Problem("header", f"the header is no record: {FAULTS[fault]}", raw=shown_text(raw)))
    if b"\0" in raw:
        raise Refused(Problem("binary", "the file is not text: its header has a NUL byte", raw=shown_text(raw)))
    try:
        return map_header([*map(bytes.decode, split_record(raw, contract.dialect))], contract)
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
    return Header(names, [places[heading] for heading in expected])


def _faults(actual: list[Heading], expected: list[Heading], contract: Contract) -> Iterator[str]:
    present, wanted = set(actual), set(expected)
    beyond = [heading for heading in actual if heading not in wanted]
    missing = [_bare(heading) for heading in expected if heading not in present]
    # A name that occurs twice must be numbered by its field; where no field has the name, it does not matter.
    unnumbered = {field.heading.text for field in contract.fields if not field.says_which}
    twice = dict.fromkeys(heading.text for heading in beyond if heading.number > 1 and heading.text in unnumbered)
    unknown = [str(heading) for heading in beyond if heading.text not in twice]
    if twice:
        yield f'a name is there twice, {listed([*map(repr, twice)])}: a field says by "header" which it is'
    if missing:
        yield f"it lacks {listed(missing)}"
    if unknown and contract.match != "subset":
        yield f"it has {listed(unknown)}"
    if actual != expected and contract.match == "exact" and not (missing or beyond):
        yield "the order differs"


def _bare(heading: Heading) -> str:
    return heading.text if heading.text.strip() and heading.number == 1 else str(heading)
