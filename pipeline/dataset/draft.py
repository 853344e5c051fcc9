"""Draft a contract from a file, with notes on every guess that a person should check."""

import json
import re
from typing import Any, BinaryIO

from common.errors import SettingError
from pipeline.dataset.draft_names import field_names, header_of
from pipeline.dataset.infer_dialect import Sample
from pipeline.dataset.infer_types import describe
from pipeline.dataset.survey import MISSING, Column, Survey
from pipeline.dataset.survey_file import survey_file
from pipeline.model.problem import Refused


def draft(stream: BinaryIO, file: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """Return a contract (a Data Package v2 resource) that fits the records that were read, and the notes.

    Args:
        stream: the file; it can seek.
        file: its name, whose suffix is that of its compression.
        name: the name of the dataset.

    Raises:
        SettingError: no contract can be drafted from this file.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise SettingError(f"--name: {name!r} cannot be a dataset's: expected a-z, 0-9, - and _, such as my-sales")
    try:
        sample, survey = survey_file(stream, file)
    except Refused as refusal:
        raise SettingError(f"{file}: {refusal.problem}") from None
    _check_some_fit(survey, file)
    sample.notes += survey.notes()
    names = field_names(sample.header)
    specs = [
        {"name": name, **sample.types[column.name]} if column.name in sample.types else describe(column, name, sample)
        for column, name in zip(survey.columns, names, strict=True)
    ]
    return _resource(file, name, sample, _schema(survey, specs, sample)), list(dict.fromkeys(sample.notes))


def _schema(survey: Survey, specs: list[dict[str, Any]], sample: Sample) -> dict[str, Any]:
    """Return a schema of fields; one without a missing value in the whole file is required."""
    missing = _missing(survey.columns, specs, sample)
    for spec, column in zip(specs, survey.columns, strict=True):
        words = column.exact if spec["type"] == "string" else column.words
        if survey.whole and survey.rows and not words & set(missing):
            spec["constraints"] = {"required": True}
    schema: dict[str, Any] = {"fieldsMatch": "equal", "fields": _with_headers(specs, sample.header)}
    if missing != [""]:
        schema["missingValues"] = missing
    return schema


def _check_some_fit(survey: Survey, file: str) -> None:
    if survey.by_rule["fields"] and not survey.rows:
        expected = f"expected {len(survey.columns)} fields as in the header, found another number"
        raise SettingError(
            f"{file}: line {survey.first['fields']} and all others: {expected}: give the header a name for each column"
        )


def _with_headers(specs: list[dict[str, Any]], header: list[str]) -> list[dict[str, Any]]:
    """Add the property `header` to fields whose name is not that of their column."""
    headers = header_of(header, [spec["name"] for spec in specs])
    placed = zip(specs, headers, strict=True)
    return [{"name": spec["name"], **({} if text is None else {"header": text}), **spec} for spec, text in placed]


def dataset_name(file: str) -> str:
    """Return a dataset's name from a file name: `My Sales.csv.gz` to `my-sales`."""
    stem = re.sub(r"(?:\.(?:csv|tsv|txt|jsonl|ndjson))?(?:\.gz|\.zst)\Z|\.\w+\Z", "", file, flags=re.IGNORECASE).lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_") or "dataset"


def to_text(contract: dict[str, Any]) -> str:
    """Format a contract as JSON with one line for each field."""
    fields = contract["schema"]["fields"]
    texts = (json.dumps(one, ensure_ascii=False) for one in fields)
    lines = ",\n".join("      " + text.replace("{", "{ ", 1)[:-1] + " }" for text in texts)
    text = json.dumps({**contract, "schema": {**contract["schema"], "fields": []}}, indent=2, ensure_ascii=False)
    return text.replace('"fields": []', f'"fields": [\n{lines}\n    ]', 1)


def _resource(file: str, name: str, sample: Sample, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://datapackage.org/profiles/2.0/dataresource.json",
        "name": name,
        "path": file,
        **({"encoding": sample.encoding} if sample.encoding else {}),
        **({"dialect": sample.dialect} if sample.dialect else {}),
        "schema": schema,
    }


def _missing(columns: list[Column], specs: list[dict[str, Any]], sample: Sample) -> list[str]:
    """Return the words for null in typed columns; add notes on text columns that contain such words."""
    seen = {
        word for column, spec in zip(columns, specs, strict=True) if spec["type"] != "string" for word in column.words
    }
    missing = [word for word in MISSING if word == "" or word in seen]
    for column, spec in zip(columns, specs, strict=True):
        if spec["type"] == "string":
            words = [word for word in MISSING[1:] if word in column.exact]
            if lost := [word for word in words if word in missing]:
                sample.notes.append(f"column {spec['name']}: {', '.join(lost)} is null here too, as in every column")
            if kept := [word for word in words if word not in missing]:
                said = f"{', '.join(map(repr, kept))} is text here"
                sample.notes.append(
                    f"column {spec['name']}: {said}: where it means no value, write it into missingValues"
                )
    return missing
