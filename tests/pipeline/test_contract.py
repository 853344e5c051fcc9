import json

import frictionless
import pytest

from pipeline.recipe import read_datasets
from storage.console import SettingError
from tests.datasets import DATASETS
from tests.pipeline.conftest import NUMBERS


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*.json")), ids=lambda path: path.stem)
def test_the_standard_takes_our_contracts(path):
    descriptor = json.loads(path.read_text())
    assert frictionless.Resource.validate_descriptor(descriptor).valid


def test_the_datasets_of_the_exam():
    datasets = read_datasets(DATASETS)
    assert set(datasets) >= {"companydata", "orders"}
    assert datasets["companydata"].schema.names == ["Month", "Dept", "Store", "Sold", "Returned", "Ordered", "Net"]
    assert str(datasets["companydata"].schema.field("Net").type) == "int64"


def fields(*changes: dict) -> dict:
    return {"schema": {"fields": [{"name": f"f{number}", **change} for number, change in enumerate(changes)]}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"colour": "red"}, ["colour", "not supported"]),
        ({"encoding": "klingon"}, ["encoding", "klingon"]),
        ({"dialect": {"delimiter": '"'}}, ["dialect.quoteChar"]),
        ({"dialect": {"delimiter": "§"}}, ["dialect.delimiter"]),
        (fields({"type": "integer", "groupChar": "."}), ["f0", "groupChar"]),
        (fields({"type": "date", "format": "%d.%m"}), ["f0", "%Y"]),
        (fields({"type": "date", "format": "%j %Y"}), ["f0", "%j"]),
        (fields({"type": "string", "format": "email"}), ["f0", "email"]),
        ({"dialect": {"delimiter": ";;"}}, ["dialect.delimiter"]),
        ({"dialect": {"commentChar": "#"}}, ["dialect.commentChar", "not supported"]),
        (fields({"type": "geopoint"}), ["f0", "type"]),
        (fields({"type": "integer", "constraints": {"unique": True}}), ["f0", "constraints.unique"]),
        (fields({"type": "integer", "constraints": {"pattern": "a"}}), ["f0", "constraints.pattern", "integer"]),
        (fields({"type": "string", "constraints": {"minimum": 3}}), ["f0", "constraints.minimum", "string"]),
        (fields({"type": "integer", "constraints": {"minimum": "many"}}), ["f0", "many"]),
        (fields({"type": "string", "constraints": {"pattern": "("}}), ["f0", "constraints"]),
        (fields({"name": "twice"}, {"name": "twice"}), ["twice", "more than once"]),
        ({"schema": {"fields": []}}, ["schema.fields"]),
        ({"schema": {**NUMBERS["schema"], "fieldsMatch": "partial"}}, ["schema.fieldsMatch"]),
        ({"schema": {"fields": ["a"]}}, ["'a'"]),
        (fields({"name": "_line"}) | {"summary": {}}, ["_line"]),
        ({"summary": {"groupBy": ["n"], "sum": ["n"]}}, ["summary", "'n'"]),
        (fields({"name": "rows"}) | {"summary": {"groupBy": ["rows"]}}, ["summary", "'rows'"]),
        ({"summary": {"groupBy": ["nobody"]}}, ["summary", "nobody"]),
        ({"summary": {"sum": ["name"]}}, ["summary.sum", "name"]),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(write_dataset, changes, named):
    with pytest.raises(SettingError) as error:
        write_dataset(**changes)
    for word in ["numbers.json", *named]:
        assert word in str(error.value)


def test_the_name_must_be_the_files(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps(NUMBERS))
    with pytest.raises(SettingError, match="expected 'other'"):
        read_datasets(tmp_path)


def test_broken_json_names_the_file(tmp_path):
    (tmp_path / "numbers.json").write_text("{")
    with pytest.raises(SettingError, match=r"numbers\.json"):
        read_datasets(tmp_path)


def test_a_recipe_changes_with_the_contract_alone(write_dataset):
    first = write_dataset().recipe
    assert write_dataset().recipe == first
    assert write_dataset(title="another").recipe != first
