"""A first contract from a file of the user's own: what can be told by looking at it, and notes on what cannot."""

import json
import re
from typing import Any, BinaryIO

from pipeline.draft.columns import MISSING, describe
from pipeline.draft.sample import Sample, check_header, read_sample
from pipeline.reader.problem import Refused
from storage.console import SettingError


def draft(stream: BinaryIO, file: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """Give a contract (a Data Package v2 resource) that fits the records looked at, and what was not sure.

    Args:
        stream: the file; it can seek.
        file: its name, which tells how it is compressed.
        name: what the dataset will be called.

    Raises:
        SettingError: no contract can be drafted from this file.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise SettingError(f"--name: {name!r} cannot be a dataset's: expected a-z, 0-9, - and _, such as my-sales")
    try:
        sample = read_sample(stream, file)
    except Refused as refusal:
        raise SettingError(f"{file}: {refusal.problem}") from None
    check_header(sample, file)
    columns = [[row[place] for row in sample.rows] for place in range(len(sample.header))]
    specs = [describe(column, title, sample) for title, column in zip(sample.header, columns, strict=True)]
    missing = _missing(columns, specs, sample)
    for spec, column in zip(specs, columns, strict=True):
        cells = column if spec["type"] == "string" else [text.strip(" \t") for text in column]
        if cells and not any(cell in missing for cell in cells):
            spec["constraints"] = {"required": True}
    schema: dict[str, Any] = {"fieldsMatch": "equal", "fields": specs}
    if missing != [""]:
        schema["missingValues"] = missing
    return _resource(file, name, sample, schema), list(dict.fromkeys(sample.notes))


def dataset_name(file: str) -> str:
    """Make a dataset's name of a file's: `My Sales.csv.gz` to `my-sales`."""
    stem = re.sub(r"\.csv(\.gz|\.zst)?\Z|\.\w+\Z", "", file, flags=re.IGNORECASE).lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_") or "dataset"


def to_text(contract: dict[str, Any]) -> str:
    """Write a contract as the shipped ones are written: one line for each field."""
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
        "encoding": sample.encoding,
        "dialect": sample.dialect,
        "schema": schema,
    }


def _missing(columns: list[list[str]], specs: list[dict[str, Any]], sample: Sample) -> list[str]:
    """Give the words for null that the typed columns need, and say which text they make null as well."""
    typed = [column for column, spec in zip(columns, specs, strict=True) if spec["type"] != "string"]
    seen = {text.strip(" \t") for column in typed for text in column}
    missing = [word for word in MISSING if word == "" or word in seen]
    for column, spec in zip(columns, specs, strict=True):
        if spec["type"] == "string" and (lost := [word for word in missing[1:] if word in column]):
            sample.notes.append(f"column {spec['name']}: {', '.join(lost)} is null here too, as in every column")
    return missing
