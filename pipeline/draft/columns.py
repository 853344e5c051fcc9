"""What a column of a sample holds: the first type that takes all its values."""

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipeline.contract import FieldSpec
from pipeline.draft.sample import Sample
from pipeline.reader.masks import check_column
from pipeline.reader.values import INTEGER

MISSING = ("", "NA", "N/A", "n/a", "na", "#N/A", "NULL", "null", "None", "none", "NaN", "nan", "-", "--", "?")
_NUMBERS = [(".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", " "), (".", "'"), (",", "'")]
_DATES = ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"]
_TIMES = [f"{day}{between}{time}" for day in _DATES for between in (" ", "T") for time in ("%H:%M:%S", "%H:%M")]


def describe(column: list[str], name: str, sample: Sample) -> dict[str, Any]:
    """Give a field for a column: the first type that takes all its values."""
    values = [text.strip(" \t") for text in column]
    values = list(dict.fromkeys(value for value in values if value not in MISSING))

    def note(text: str) -> None:
        sample.notes.append(f"column {name}: {text}")

    if not values:
        note("it has no value: string")
    for guess in (_whole_number, _boolean, _number, _date, _datetime) if values else ():
        if found := guess(values, sample, note):
            return {"name": name, **found}
    _say_nearly(values, sorted({text.strip(" \t") for text in column} & {*MISSING[1:]}), note)
    return {"name": name, "type": "string"}


_Note = Callable[[str], None]


def _fits(values: list[str], spec: FieldSpec) -> bool:
    first = check_column(pa.array(values[:1]), spec, frozenset())[1]
    return not first[0].as_py() and not any(check_column(pa.array(values), spec, frozenset())[1].to_pylist())


def _of(type_: str, **properties: Any) -> FieldSpec:
    return FieldSpec(name="x", type=type_, **properties)  # type: ignore[arg-type]


_SHAPES = (
    _of("integer"),
    *(_of("number", decimalChar=point, groupChar=group) for point, group in _NUMBERS),
    *(_of("date", format=form) for form in ("default", *_DATES)),
    *(_of("datetime", format=form) for form in ("default", *_TIMES)),
    _of("boolean"),
)


def _whole_number(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    if not all(re.fullmatch(INTEGER, value) for value in values):
        return None
    if padded := next((value for value in values if re.match(r"[+-]?0[0-9]", value)), None):
        note(f"{padded} begins with a zero, as codes do: string")
        return {"type": "string"}
    if not _fits(values, _of("integer")):
        note("some numbers are beyond 64 bits: string")
        return {"type": "string"}
    if set(values) <= {"0", "1"}:
        note("0 and 1 alone: integer, or boolean?")
    elif _fits(values, _of("date", format="%Y%m%d")):
        note(f'integer, or dates like {values[0]} (type "date", format "%Y%m%d")?')
    return {"type": "integer"}


def _boolean(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    if {value.lower() for value in values} <= {"yes", "no", "y", "n"}:
        note("yes and no are text here; true and false would be boolean: string")
    return {"type": "boolean"} if _fits(values, _of("boolean")) else None


def _number(values: list[str], sample: Sample, note: _Note) -> dict[str, Any] | None:
    able = [pair for pair in _NUMBERS if _is_number(values, *pair)]
    if not able:
        return None
    point, group = able[0]
    if (",", None) in able and (".", ",") in able:
        point, group = (",", None) if sample.dialect["delimiter"] == ";" else (".", ",")
        note(f"is {values[0]} a fraction, or thousands? Taken: decimalChar {point!r}")
    elif (point, group) == (".", None) and (",", ".") in able and any("." in value for value in values):
        note(f"is {values[0]} a fraction, or thousands? Taken: decimalChar {point!r}")
    shape = {"decimalChar": point} if point != "." else {}
    return {"type": "number", **shape, **({"groupChar": group} if group else {})}


def _is_number(values: list[str], point: str, group: str | None) -> bool:
    """Judge as the reader does, but have groups of three digits: `1,2` is no number with groups."""
    spec = _of("number", decimalChar=point, groupChar=group)
    if group and not (any(group in value for value in values) and all(_in_threes(value, spec) for value in values)):
        return False
    return _fits(values, spec)


def _in_threes(value: str, spec: FieldSpec) -> bool:
    if not spec.groupChar or spec.groupChar not in value:
        return True
    mark, point = re.escape(spec.groupChar), re.escape(spec.decimalChar)
    return bool(re.fullmatch(rf"[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?", value))


def _date(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    return _dated("date", _DATES, values, note)


def _datetime(values: list[str], _: Sample, note: _Note) -> dict[str, Any] | None:
    found = _dated("datetime", _TIMES, values, note)
    if found and not any(re.search(r"(?:Z|[+-][0-9]{2}:[0-9]{2})\Z", value) for value in values):
        note("its times have no zone: read as UTC")
    return found


def _dated(type_: str, formats: list[str], values: list[str], note: _Note) -> dict[str, Any] | None:
    if _fits(values, _of(type_)):
        return {"type": type_}
    able = [one for one in formats if _fits(values, _of(type_, format=one))]
    if len(able) > 1:
        note(f"{values[0]} may be day or month first; taken: {able[0]}")
    return {"type": type_, "format": able[0]} if able else None


def _say_nearly(values: list[str], missing: list[str], note: _Note) -> None:
    """Tell of a type that most values have: then the others may be the file's mistakes."""
    for spec in _SHAPES:
        wrong = check_column(pa.array(values, pa.string()), spec, frozenset())[1].to_pylist()
        bad = [one or not _in_threes(value, spec) for one, value in zip(wrong, values, strict=True)]
        if 0 < sum(bad) <= len(values) / 4:
            said = f"{sum(bad):,} of {len(values):,} different values are no {spec.type}"
            told = spec.model_dump(exclude={"name"}, exclude_defaults=True)
            shape = ", ".join(f'"{name}": "{value}"' for name, value in told.items())
            advice = f"write {shape}" + "".join(f", and {word!r} into missingValues" for word in missing)
            note(f"{said} ({values[bad.index(True)]!r}): string; where that is the file's mistake, {advice}")
            return
