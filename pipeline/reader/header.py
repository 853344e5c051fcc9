"""The header of a file: which column is which field, or why the file cannot be loaded."""

from dataclasses import dataclass

from pipeline.contract import Contract
from pipeline.reader.explain import FAULTS, shown_text, split_record
from pipeline.reader.problem import Problem, Refused


@dataclass(frozen=True)
class Header:
    """The names in the file, in its order, and the place of each of the contract's fields among them."""

    names: list[str]
    places: list[int]


def read_header(raw: bytes, fault: str | None, contract: Contract) -> Header:
    """Read a file's first record, or refuse the file; `fault` is the rule by which it is no record at all."""
    if fault:
        raise Refused(Problem("header", f"the header is no record: {FAULTS[fault]}", raw=shown_text(raw)))
    if b"\0" in raw:
        raise Refused(Problem("binary", "the file is not text: its header has a NUL byte", raw=shown_text(raw)))
    try:
        return map_header([one.decode() for one in split_record(raw, contract.delimiter, contract.quote)], contract)
    except UnicodeDecodeError as error:
        message = "the header is not UTF-8: save the file as UTF-8, or name its encoding in the contract"
        raise Refused(Problem("encoding", message, raw=shown_text(raw))) from error


def map_header(names: list[str], contract: Contract) -> Header:
    """Find each field of the contract in a header, or refuse the file saying what was expected."""
    expected = [field.name for field in contract.fields]
    missing = [name for name in expected if name not in names]
    unknown = [name for name in names if name not in expected]
    wrong = {
        "a name is there twice": len(set(names)) < len(names),
        f"it lacks {', '.join(missing)}": bool(missing),
        f"it has {', '.join(map(repr, unknown))}": bool(unknown) and contract.match != "subset",
        "the order differs": names != expected and contract.match == "exact",
    }
    if faults := [fault for fault, found in wrong.items() if found]:
        wanted, found = contract.delimiter.join(expected), contract.delimiter.join(names)
        message = f"the header does not fit ({'; '.join(faults)}): expected {wanted}, found {found or 'an empty file'}"
        raise Refused(Problem("header", message, raw=found))
    return Header(names, [names.index(name) for name in expected])
