"""Infer the type of a column from its values, and describe values that fit no type."""

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from common.messages import shortened
from pipeline.dataset.infer_dialect import Sample
from pipeline.dataset.survey import CLOCKS, DATES, NUMBERS, Column, candidates, is_of, mostly, spec_of, time_formats
from pipeline.model.field import FieldSpec
from pipeline.readers.cells.patterns import INTEGER
from pipeline.readers.cells.validate import check_column

# Forms of text that no type can read yet; a note names the first one that half of the values match.
_AMOUNT = r"[0-9][0-9.,' \u00a0\u202f]*"
_LOOKS = (
    ("amounts of money", rf"[+-]?\(?[+-]?(?:[€$£¥₹]|[A-Z]{{3}} ?)\s*[+-]?{_AMOUNT}-?\)?"),
    ("amounts of money", rf"\(?[+-]?{_AMOUNT}\s*(?:[€$£¥₹]|[A-Z]{{3}})-?\)?"),
    ("dates", r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{4}|[0-9]{2})"),
    ("dates", r"[0-9]{1,2}[ ./-]*[A-Za-zäûéç]{3,9}[ .,/-]+(?:[0-9]{4}|[0-9]{2})|[A-Z][a-z]{2,8} [0-9]{1,2}, [0-9]{4}"),
    ("times of day, or durations", r"[0-9]{1,3}:[0-9]{2}(?::[0-9]{2})?"),
    ("dates with times", r"[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4},?[ T]+[0-9]{1,2}:[0-9]{2}.*"),
    ("numbers", rf"\(?[+-]?{_AMOUNT}-?\)?"),
)


_SIGNED = re.compile(
    r"(?P<sign>[+-]?)(?P<before>[€$£¥₹]|[A-Z]{3}|)[ \u00a0\u202f]?(?P<number>[+-]?[0-9][0-9.,' \u00a0\u202f]*?)"
    r"[ \u00a0\u202f]?(?P<after>[€$£¥₹%]|[A-Z]{3}|)"
)


def describe(column: Column, name: str, sample: Sample) -> dict[str, Any]:
    """Return the field for a column: the first type that fits all its values."""
    values = list(column.values)

    def note(text: str) -> None:
        sample.notes.append(f"column {name}: {text}")

    field = next((field for guess in _GUESSES if values and (field := guess(values, sample, note))), None)
    if field is None:
        _note_form(values, column, note)
        field = {"type": "string"}
    elif field["type"] != "string" and (words := sorted(column.words - {""})):
        note(f"{', '.join(map(repr, words))} is read as null: it stands in missingValues")
    return {"name": name, **field}


_Note = Callable[[str], None]


def _fits(values: list[str], spec: FieldSpec) -> bool:
    return is_of(values[0], spec) and not any(check_column(pa.array(values), spec, frozenset())[1].to_pylist())


def _whole_number(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    if not all(re.fullmatch(INTEGER, value) for value in values):
        return None
    if _are_codes(values, note):
        return {"type": "string"}
    if not _fits(values, spec_of("integer")):
        note("some numbers are beyond 64 bits: string")
        return {"type": "string"}
    if set(values) <= {"0", "1"}:
        note("0 and 1 alone: integer, or boolean?")
    elif _fits(values, spec_of("date", format="%Y%m%d")):
        note(f'integer, or dates like {values[0]} (type "date", format "%Y%m%d")?')
    return {"type": "integer"}


def _are_codes(values: list[str], note: _Note) -> bool:
    """Return whether values are codes, which would change as numbers: `00123`, `+4930123456` or `12E4`."""
    if padded := next((value for value in values if re.match(r"[+-]?0[0-9]", value)), None):
        note(f"{shortened(padded)} begins with a zero, as codes do: string")
    elif phone := next((value for value in values if re.fullmatch(r"\+[1-9][0-9]{6,14}", value)), None):
        note(f"{phone} looks like a telephone number: string")
    elif not any("." in value or "," in value for value in values) and (
        code := next((value for value in values if re.fullmatch(r"[0-9]+[eE][0-9]+", value)), None)
    ):
        note(f'{code} is a code, or a number with an exponent: string; if it is a number, write "type": "number"')
    else:
        return False
    return True


def _boolean(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    if {value.lower() for value in values} <= {"yes", "no", "y", "n"}:
        note("yes and no are text here; true and false would be boolean: string")
    return {"type": "boolean"} if _fits(values, spec_of("boolean")) else None


def _number(values: list[str], sample: Sample, note: _Note) -> dict[str, Any] | None:
    able = [pair for pair in NUMBERS if _is_number(values, *pair)]
    if not able:
        return None
    if _are_codes(values, note):
        return {"type": "string"}
    point, group = able[0]
    if (",", None) in able and (".", ",") in able:
        point, group = (",", None) if sample.dialect.get("delimiter") == ";" else (".", ",")
        note(f"is {values[0]} a fraction, or thousands? Taken: decimalChar {point!r}")
    elif (point, group) == (".", None) and (",", ".") in able and any("." in value for value in values):
        note(f"is {values[0]} a fraction, or thousands? Taken: decimalChar {point!r}")
    _note_digits(values, point, note)
    shape = {"decimalChar": point} if point != "." else {}
    return {"type": "number", **shape, **({"groupChar": group} if group else {})}


def _note_digits(values: list[str], point: str, note: _Note) -> None:
    """Add notes on digits that a number loses: trailing zeros, as in versions, and digits after the 17th."""
    fractions = {value: re.split("[eE]", value.partition(point)[2])[0] for value in values if point in value}
    zeros = next((value for value, digits in fractions.items() if digits.endswith("0") and len(digits) > 1), None)
    if zeros and len({len(digits) for digits in fractions.values()}) > 1:
        note(f'{shortened(zeros)} ends with a zero and others have fewer digits: number, or codes (type "string")?')
    if long := next((value for value in values if len(re.sub("[^0-9]", "", value).strip("0")) > 17), None):
        note(f"{shortened(long)} has more digits than a number keeps, which are 15 to 17")


def _is_number(values: list[str], point: str, group: str | None) -> bool:
    """Check values as the reader does, but only with groups of three digits: `1,2` is not a grouped number."""
    spec = spec_of("number", decimalChar=point, groupChar=group)
    if group and not (any(group in value for value in values) and all(_in_threes(value, spec) for value in values)):
        return False
    return _fits(values, spec)


def _in_threes(value: str, spec: FieldSpec) -> bool:
    if not spec.groupChar or spec.groupChar not in value:
        return True
    mark, point = re.escape(spec.groupChar), re.escape(spec.decimalChar)
    return bool(re.fullmatch(rf"[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?", value))


def _date(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    return _dated("date", DATES, values, note)


def _datetime(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    found = _dated("datetime", time_formats(), values, note)
    if found and not any(re.search(r"(?:Z|[+-][0-9]{2}:[0-9]{2})\Z", value) for value in values):
        note("its times have no zone: read as UTC")
    return found


def _dated(type_: str, formats: list[str], values: list[str], note: _Note) -> dict[str, Any] | None:
    if _fits(values, spec_of(type_)):
        return {"type": type_}
    able = [one for one in formats if _fits(values, spec_of(type_, format=one))]
    if len(able) > 1:
        note(f"{values[0]} may be day or month first; taken: {able[0]}")
    return {"type": type_, "format": able[0]} if able else None


def _time(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    return _dated("time", CLOCKS, values, note)


def _amount(values: list[str], sample: Sample, note: _Note) -> dict[str, Any] | None:
    """Describe numbers with one sign beside them, such as `£63,124.71` or `80 %`."""
    matches = [_SIGNED.fullmatch(value) for value in values]
    signs = {match["before"] or match["after"] for match in matches if match} - {""}
    if not all(matches) or len(signs) != 1:
        return None
    numbers = [f"{match['sign']}{match['number']}" for match in matches if match]
    found = _number(numbers, sample, note)
    if not found or found["type"] != "number":
        return None
    field = found | {"bareNumber": False}
    note(f"{signs.pop()!r} is left out: {shortened(values[0])} becomes {numbers[0]}")
    return field if _fits(values, FieldSpec(name="x", **field)) else None


_GUESSES = (_whole_number, _boolean, _number, _date, _datetime, _time, _amount)


def _note_form(values: list[str], column: Column, note: _Note) -> None:
    """Add notes on text: a type that most of the values have, or a form that no type can read yet."""
    if not values:
        note("it has no value: string")
        return
    if hidden := next((value for value in values if re.fullmatch(r"[*#]{2,}", value)), None):
        note(f"{shortened(hidden)!r} stands for a value that is hidden: string")
    if _note_near_type(values, sorted(column.words - {""}), note):
        return
    some = values[:1000]
    for what, pattern in _LOOKS:
        like = [value for value in some if re.fullmatch(pattern, value)]
        if len(like) * 2 >= len(some):
            note(f"it looks like {what} ({shortened(like[0])!r}), in a form that is not read yet: string")
            return


def _note_near_type(values: list[str], missing: list[str], note: _Note) -> bool:
    """Add a note on a type that most values have, because the others may be mistakes; return whether there is one."""
    for spec in candidates():
        if not mostly(values, spec):
            continue
        wrong = check_column(pa.array(values, pa.string()), spec, frozenset())[1].to_pylist()
        bad = [one or not _in_threes(value, spec) for one, value in zip(wrong, values, strict=True)]
        if 0 < sum(bad) <= len(values) / 4:
            good = [value for value, one in zip(values, bad, strict=True) if not one]
            if spec.type in ("integer", "number") and _are_codes(good, note):
                return True
            said = f"{sum(bad):,} of {len(values):,} different values are no {spec.type}"
            told = spec.model_dump(exclude={"name"}, exclude_defaults=True)
            shape = ", ".join(f'"{name}": "{value}"' for name, value in told.items())
            advice = f"write {shape}" + "".join(f", and {word!r} into missingValues" for word in missing)
            first = shortened(values[bad.index(True)])
            note(f"{said} ({first!r}): string; where that is the file's mistake, {advice}")
            return True
    return False
