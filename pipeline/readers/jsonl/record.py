"""Read one line in the simplest way: its object, the cells of a contract's fields, and why it is rejected."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

from common.messages import listed, shortened
from pipeline.model.contract import Contract
from pipeline.model.field import FieldSpec
from pipeline.model.problem import VALUE_LIMIT, Problem, Refused
from pipeline.readers.cells.explain import explain
from pipeline.readers.cells.write import decimal_char
from pipeline.readers.csv.explain import shown_text

Kind = Literal["string", "null", "boolean", "nested", "number"]

DEPTH = 100  # of brackets within each other
INTEGER_DIGITS = 19  # of the longest integer within 64 bits

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?')  # also one without an end, which is looked for once
_KINDS: dict[str, Kind] = {
    '"': "string", "n": "null", "t": "boolean", "f": "boolean", "{": "nested", "[": "nested",
}  # fmt: skip


class Value(NamedTuple):
    """Value of a key: its kind, and its text as it is written; of a string, its characters."""

    kind: Kind
    text: str


class Line(NamedTuple):
    """Cells of a line by field, its problems whatever these are, and its keys.

    A line that is no object has no keys, and a malformed one no cells.
    """

    cells: list[str | None]
    problems: list[Problem]
    keys: list[str] | None = None


def read_line(raw: bytes, line: int, contract: Contract) -> Line:
    """Read one line."""
    nothing: list[str | None] = [None] * len(contract.fields)
    shown = shown_text(raw)
    try:
        pairs = pairs_of(raw)
    except _BadLine as error:
        return Line(nothing, [Problem(error.rule, str(error), line, raw=shown)])
    values = dict(pairs)
    cells = [cell(values.get(field.heading.text), field) for field in contract.fields]
    problems = [Problem(rule, message, line, column, raw=shown) for rule, message, column in _faults(pairs, contract)]
    if problems:
        counts = Counter(key for key, _ in pairs)
        once = [
            (text, field) for text, field in zip(cells, contract.fields, strict=True) if counts[field.heading.text] < 2
        ]
        problems += _cell_problems(once, line, shown, contract)
    return Line(nothing if problems else cells, problems, [key for key, _ in pairs])


def keys_of(raw: bytes, contract: Contract) -> list[str]:
    """Return the keys of a line in their order; none if it is malformed."""
    try:
        pairs = pairs_of(raw)
    except _BadLine:
        return []
    return [] if any(_faults(pairs, contract)) else [key for key, _ in pairs]


class _BadLine(ValueError):
    """The line is not an object of JSON."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def pairs_of(raw: bytes) -> list[tuple[str, Value]]:
    """Return the keys and values of a line, in its order; `ValueError` if it is no object."""
    return parse_object(_decode(raw))


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        wrong = f"the bytes {raw[error.start : error.end].hex(' ')} are not UTF-8"
        message = f"{wrong}: save the file as UTF-8, or name its encoding in the contract"
        raise _BadLine("encoding", message) from None
    if "\0" in text:
        raise _BadLine("encoding", "it has a NUL byte: is this text?")
    return text


def parse_object(text: str) -> list[tuple[str, Value]]:
    """Return the keys and values of an object, in the order of the line; `ValueError` if the text is no object."""
    if _too_deep(text):
        raise _BadLine("json", f"it is nested too deep: expected at most {DEPTH} brackets within each other")
    at = _after_space(text, 0)
    if text[at : at + 1] != "{":
        raise _BadLine("json", f"expected an object in JSON, such as {{…}}, found {shortened(text)!r}")
    try:
        pairs, at = _pairs(text, _after_space(text, at + 1))
    except json.JSONDecodeError as error:
        raise _BadLine("json", f"it is not valid JSON, at character {error.pos + 1:,}: {error.msg}") from None
    if at < len(text):
        raise _BadLine("json", f"another value follows at character {at + 1:,}: expected one object in each line")
    return pairs


def _too_deep(text: str) -> bool:
    if text.count("{") + text.count("[") <= DEPTH:
        return False
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEPTH:
            return True
    return False


def _pairs(text: str, at: int) -> tuple[list[tuple[str, Value]], int]:
    """Return the members of an object from after its brace on, and where the text goes on after it."""
    pairs = list[tuple[str, Value]]()
    if text[at : at + 1] == "}":
        return pairs, _after_space(text, at + 1)
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("expected a key in double quotes", text, at)
        key, at = DECODER.raw_decode(text, at)
        at = _after_space(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("expected a colon", text, at)
        at = _after_space(text, at + 1)
        value, end = DECODER.raw_decode(text, at)
        kind = _KINDS.get(text[at], "number")
        pairs.append((key, Value(kind, value if kind == "string" else text[at:end])))
        at = _after_space(text, end)
        if text[at : at + 1] == "}":
            return pairs, _after_space(text, at + 1)
        if text[at : at + 1] != ",":
            raise json.JSONDecodeError("expected a comma or a closing brace", text, at)
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _no_constant(word: str) -> None:
    raise _BadLine("json", f"{word} is no value of JSON: write null, or leave the key out")


# Digits stay text: a float would lose some of them, and Python reads no more than 4,300.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


def _faults(pairs: Sequence[tuple[str, Value]], contract: Contract) -> Iterator[tuple[str, str, str | None]]:
    """Yield rule, message and column of all that is wrong with an object, but for its cells."""
    names = {field.heading.text: field.name for field in contract.fields}
    counts = Counter(key for key, _ in pairs)
    if twice := [shortened(key) for key, count in counts.items() if count > 1]:
        yield "fields", f"a key is there twice, {listed([*map(repr, twice)])}: keep one of them", None
    surplus = [shortened(key) for key in counts if key not in names]
    if surplus and not takes_surplus(contract):
        yield "fields", f"it has {listed([*map(repr, surplus)])}, which the contract does not have", None
    for key, value in pairs:
        strings = (key, value.text) if value.kind == "string" else (key,)
        if fault := next(filter(None, map(not_text, strings)), ""):
            yield "encoding", fault, names.get(key, shown_key(key))


def takes_surplus(contract: Contract) -> bool:
    """Return whether an object may have keys that the contract does not have."""
    return contract.match in ("subset", "partial")


def not_text(text: str) -> str:
    """Return why a string is not text; empty if it is."""
    if "\0" in text:
        return r"it has a NUL character (\u0000): is this text?"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return rf"\u{ord(text[error.start]):04x} is half of a character: write both halves, or the character itself"
    return ""


def shown_key(key: str) -> str:
    """Return a key for a problem, whatever characters it has."""
    return shortened(key.encode("utf-8", "backslashreplace").decode().replace("\0", r"\u0000"))


def _cell_problems(
    cells: Sequence[tuple[str | None, FieldSpec]], line: int, shown: str, contract: Contract
) -> Iterator[Problem]:
    for text, field in cells:
        if text is None or not not_text(text):
            for rule, message in explain(text, field, contract.missing_of(field)):
                yield Problem(rule, message, line, field.name, text and text[:VALUE_LIMIT], shown)


def cell(value: Value | None, field: FieldSpec) -> str | None:
    """Return a value as a cell that has the field's own form; None for null and for a key that is not there."""
    if value is None or value.kind == "null":
        return None
    return value.text if value.kind in ("string", "nested") else own_form(value.text, field)


def own_form(text: str, field: FieldSpec) -> str:
    """Return a number or boolean of JSON as the field's cells have it.

    `12.0` and `1e3` are integers, a point is the field's `decimalChar`, and `true` is the first of its `trueValues`.
    """
    if field.type == "boolean" and text in ("true", "false"):
        return next(iter(field.trueValues if text == "true" else field.falseValues), text)
    if field.type == "integer" and not text.lstrip("-").isdigit():
        return _whole(text).replace(".", decimal_char(field))
    return text.replace(".", decimal_char(field)) if field.type == "number" else text


def _whole(text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation:  # its exponent has too many digits
        return text
    if not value:
        return "0"
    whole = value.adjusted() < INTEGER_DIGITS and value == value.to_integral_value()
    return str(int(value)) if whole else text


def check_headings(contract: Contract) -> None:
    """Refuse a file if a field is one of several columns with one name: an object has each key once."""
    for field in contract.fields:
        if field.heading.number > 1:
            message = f"the contract's field {shortened(field.name)} is {field.heading}: an object has each key once"
            raise Refused(Problem("header", message))
