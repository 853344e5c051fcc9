import encodings
import encodings.aliases
import io
import json
import pkgutil

import frictionless
import pytest

from common.errors import SettingError
from pipeline.dataset.dataset import read_datasets
from pipeline.readers.csv.read import read_csv
from tests.support.loads import NUMBERS
from tests.support.project import DATASETS


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
        ({"homePage": "x"}, ["homePage", "not supported"]),
        ({"licenses": ["MIT"]}, ["licenses"]),
        ({"keywords": "a, b"}, ["keywords"]),
        ({"bytes": "9"}, ["bytes"]),
        ({"hash": "sha256:" + "0" * 32}, ["hash: expected an MD5"]),
        ({"hash": "crc32:" + "0" * 8}, ["hash: expected an MD5"]),
        ({"path": ["a.csv", "b.csv"], "bytes": 9}, ["path: bytes and hash are of one file"]),
        ({"encoding": "klingon"}, ["encoding", "klingon"]),
        ({"dialect": {"delimiter": '"'}}, ["dialect.quoteChar"]),
        ({"dialect": {"delimiter": "§"}}, ["dialect.delimiter"]),
        (fields({"type": "date", "groupChar": "."}), ["f0", "groupChar", "integer, number"]),
        (fields({"type": "number", "groupChar": "."}), ["f0", "groupChar", "decimalChar"]),
        (fields({"type": "integer", "groupChar": "-"}), ["f0", "groupChar", "'-'", "a meaning of its own"]),
        (fields({"type": "number", "decimalChar": "e"}), ["f0", "decimalChar", "'e'", "a meaning of its own"]),
        (fields({"type": "string", "bareNumber": False}), ["f0", "bareNumber", "integer, number"]),
        (fields({"type": "integer", "trueValues": ["ja"]}), ["f0", "trueValues", "boolean"]),
        (fields({"type": "boolean", "trueValues": ["0"]}), ["f0", "falseValues", "'0'", "trueValues"]),
        (fields({"type": "boolean", "trueValues": [" ja"]}), ["f0", "trueValues", "' ja'", "spaces"]),
        (fields({"missingValues": ["", {"value": "-"}]}), ["f0", "missingValues", '{"value": "-99"']),
        (fields({"type": "date", "format": "any"}), ["f0", "'any'", "%-d/%-m/%Y"]),
        (fields({"type": "date", "format": "%Y %m %d %H"}), ["f0", "%H", "date", "%Y %y %m"]),
        (fields({"type": "date", "format": "%Y %y %m %d"}), ["f0", "the year is there twice"]),
        (fields({"type": "date", "format": "%-d%-m%Y"}), ["f0", "%-d", "%-m", "between"]),
        (fields({"type": "datetime", "format": "%Y-%m-%d %I:%M"}), ["f0", "%I and %p go together"]),
        (fields({"type": "datetime", "format": "%Y-%m-%d %H:%M.%f"}), ["f0", "%f goes with %S"]),
        (fields({"type": "date", "format": "%d.%m"}), ["f0", "%Y"]),
        (fields({"type": "date", "format": "%j %Y"}), ["f0", "%j"]),
        (fields({"type": "string", "format": "wkt"}), ["f0", "wkt", "email, uri, uuid, binary"]),
        (fields({"type": "geopoint", "format": "topojson"}), ["f0", "topojson", "default, array, object"]),
        (fields({"type": "geojson"}), ["f0", "type", "geojson", '"object"']),
        (fields({"type": "array", "constraints": {"enum": ["[]"]}}), ["f0", "enum", "array"]),
        (fields({"type": "duration", "constraints": {"minimum": "P1D"}}), ["f0", "minimum", "duration"]),
        (fields({"type": "object", "constraints": {"jsonSchema": {}}}), ["f0", "jsonSchema", "not supported"]),
        (fields({"type": "object", "constraints": {"minLength": 1 << 70}}), ["f0", "minLength"]),
        (fields({"type": "year", "format": "%y"}), ["f0", "format", "year"]),
        (fields({"type": "time", "format": "%H:%M %Y"}), ["f0", "%Y", "time"]),
        (fields({"type": "list", "itemType": "year"}), ["f0", "itemType"]),
        (fields({"type": "list", "delimiter": ""}), ["f0", "delimiter"]),
        (fields({"type": "string", "itemType": "date"}), ["f0", "itemType", "list"]),
        (fields({"type": "integer", "decimal": {"precision": 9, "scale": 2}}), ["f0", "decimal", "number"]),
        (fields({"type": "number", "decimal": {"precision": 9, "scale": 10}}), ["f0", "decimal", "scale is 10"]),
        (fields({"type": "number", "decimal": {"precision": 39, "scale": 2}}), ["f0", "decimal.precision"]),
        (fields({"type": "number", "decimal": {"precision": 9}}), ["f0", "decimal.scale"]),
        (
            fields({"type": "number", "decimal": {"precision": 9, "scale": 2}, "constraints": {"minimum": 0.001}}),
            ["f0", "'0.001'", "7 digits before", "2 after"],
        ),
        ({"dialect": {"delimiter": ";;"}}, ["dialect.delimiter"]),
        ({"dialect": {"property": "rows"}}, ["dialect.property", "not supported"]),
        ({"dialect": {"quoteChar": "\t"}}, ["dialect.quoteChar", "delimiter of a .tsv file"]),
        ({"dialect": {"escapeChar": '"'}}, ["dialect.escapeChar", "quoteChar", "doubleQuote"]),
        ({"dialect": {"escapeChar": ","}}, ["dialect.escapeChar", "delimiter"]),
        ({"dialect": {"commentChar": "#,"}}, ["dialect.commentChar", "delimiter"]),
        ({"dialect": {"commentChar": "\n"}}, ["dialect.commentChar"]),
        ({"dialect": {"skipInitialSpace": True, "delimiter": " "}}, ["dialect.skipInitialSpace", "delimiter"]),
        ({"dialect": {"headerRows": [2, 1]}}, ["dialect.headerRows", "ascending"]),
        ({"dialect": {"headerRows": [0]}}, ["dialect.headerRows"]),
        ({"dialect": {"header": False, "headerRows": [2]}}, ["dialect.headerRows", "header is false"]),
        ({"dialect": {"headerJoin": "-"}}, ["dialect.headerJoin", "name these in headerRows"]),
        ({"dialect": {"header": False, "headerJoin": ""}}, ["dialect.headerJoin", "remove it"]),
        (
            {"dialect": {"sheetName": "A", "sheetNumber": 2}},
            ["dialect.sheetNumber", "it is 2", "remove one of the two"],
        ),
        ({"dialect": {"headerRows": [2], "commentRows": [3, 2]}}, ["dialect.commentRows", "line 2"]),
        ({"dialect": {"footerRows": 101}}, ["dialect.footerRows", "100"]),
        ({"dialect": {"lineTerminator": ";"}}, ["dialect.lineTerminator"]),
        ({"dialect": {"header": False}} | fields({"header": "x"}), ["dialect.header", "'f0' has a header"]),
        ({"dialect": {"header": False}, "schema": {**NUMBERS["schema"], "fieldsMatch": "equal"}}, ["fieldsMatch"]),
        (fields({"type": "point"}), ["f0", "type", "geopoint"]),
        (fields({"type": "integer", "constraints": {"unique": 1}}), ["f0", "constraints.unique"]),
        ({"schema": {**NUMBERS["schema"], "primaryKey": "N"}}, ["schema.primaryKey", "no field N"]),
        ({"schema": {**NUMBERS["schema"], "primaryKey": ["n", "n"]}}, ["schema.primaryKey", "different names"]),
        ({"schema": {**NUMBERS["schema"], "uniqueKeys": [["n"], []]}}, ["schema.uniqueKeys.1", "list of"]),
        ({"schema": {**NUMBERS["schema"], "foreignKeys": []}}, ["schema.foreignKeys", "not supported: use a query"]),
        (fields({"type": "integer", "constraints": {"pattern": "a"}}), ["f0", "constraints.pattern", "integer"]),
        (fields({"type": "string", "constraints": {"minimum": 3}}), ["f0", "constraints.minimum", "string"]),
        (fields({"type": "integer", "constraints": {"minimum": "many"}}), ["f0", "many"]),
        (fields({"type": "string", "constraints": {"pattern": "("}}), ["f0", "constraints.pattern: '(' is no pattern"]),
        (fields({"type": "boolean", "trueValues": []}), ["f0", "trueValues: expected at least one value"]),
        (fields({"type": "boolean", "falseValues": ["", "nein"]}), ["f0", "falseValues: '' is null", "missingValues"]),
        (
            {"dialect": {"nullSequence": "-"}} | fields({"type": "boolean", "trueValues": ["x", "-"]}),
            ["f0", "trueValues: '-' is null"],
        ),
        (fields({"name": "twice"}, {"name": "twice"}), ["twice", "more than once"]),
        ({"schema": {"fields": []}}, ["schema.fields"]),
        ({"schema": {**NUMBERS["schema"], "fieldsMatch": "some"}}, ["schema.fieldsMatch"]),
        ({"more": True}, ["more: it goes with fieldsMatch 'subset' or 'partial'"]),
        ({"more": True, "schema": {"fieldsMatch": "subset", "fields": [{"name": "_More"}]}}, ["'_more' is the column"]),
        ({"schema": {"fields": ["a"]}}, ["'a'"]),
        (fields({"name": "_line"}) | {"summary": {}}, ["_line"]),
        ({"summary": {"groupBy": ["n"], "sum": ["n"]}}, ["summary", "'n'"]),
        (fields({"name": "rows"}) | {"summary": {"groupBy": ["rows"]}}, ["summary", "'rows'"]),
        ({"summary": {"groupBy": ["nobody"]}}, ["summary", "nobody"]),
        ({"summary": {"sum": ["name"]}}, ["summary.sum", "name"]),
        (fields({"name": "ID"}, {"name": "id"}), ["'ID' and 'id'", "case", '"header"']),
        (fields({"name": "Straße"}, {"name": "STRASSE"}), ["'Straße' and 'STRASSE'", "case"]),
        (fields({"name": "_LINE"}) | {"summary": {}}, ["_LINE"]),
        (fields({"name": "_Source_Key"}) | {"summary": {}}, ["_Source_Key"]),
        (fields({"name": "Rows"}) | {"summary": {"groupBy": ["Rows"]}}, ["summary", "'rows' and 'Rows'"]),
        (fields({"name": ""}), ["name: expected 1 to", '"header"']),
        (fields({"header": 3}), ["f0", "header", '["a", 2]']),
        (fields({"header": ["a", 0]}), ["f0", "header", '["a", 2]']),
        (fields({"header": ["a", True]}), ["f0", "header", '["a", 2]']),
        (fields({"header": "a"}, {"header": ["a", 1]}), ["'a'", "more than once"]),
        (fields({"header": "f1"}, {}), ["'f1'", "more than once"]),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(write_dataset, changes, named):
    with pytest.raises(SettingError) as error:
        write_dataset(**changes)
    for word in ["numbers.json", *named]:
        assert word in str(error.value)


DESCRIBED = {
    "$schema": "https://datapackage.org/profiles/2.0/dataresource.json", "profile": "tabular-data-resource",
    "path": ["a.csv", "b.csv"], "type": "table", "id": "1", "homepage": "https://example.org", "format": "csv",
    "mediatype": "text/csv", "created": "2026-01-31T00:00:00Z", "version": "1.0.0", "image": "logo.png",
    "keywords": ["a"], "contributors": [{"title": "A"}], "sources": [{"title": "B", "path": "b"}],
    "licenses": [{"name": "CC-BY-4.0"}], "title": "t", "description": "d",
}  # fmt: skip


def test_what_describes_has_no_effect(write_dataset):
    plain = write_dataset().contract
    field = {"title": "t", "description": "d", "rdfType": "http://schema.org/Country"}
    examples = zip(NUMBERS["schema"]["fields"], ("a", 1, 1.5), strict=True)
    named = [{**one, **field, "example": example} for one, example in examples]
    schema = {**NUMBERS["schema"], "$schema": "https://datapackage.org/profiles/2.0/tableschema.json", "fields": named}
    described = write_dataset(schema=schema, **DESCRIBED).contract
    assert frictionless.Resource.validate_descriptor({**NUMBERS, **DESCRIBED, "schema": schema, "path": "a.csv"}).valid
    assert (described.schema, described.fixity, described.match) == (plain.schema, None, plain.match)
    assert write_dataset(hash="0" * 32, bytes=1).contract.fixity is None  # of no file


@pytest.mark.parametrize(
    ("type_", "rules", "named"),
    [
        ("integer", {"minimum": 3, "maximum": 2}, "maximum: it is 2 and minimum is 3, so no value can pass: correct"),
        ("integer", {"exclusiveMinimum": 3, "exclusiveMaximum": 4}, "exclusiveMaximum: it is 4"),
        ("number", {"minimum": 3, "exclusiveMaximum": 3}, "exclusiveMaximum: it is 3"),
        ("number", {"exclusiveMinimum": "1e3", "maximum": 999}, "maximum: it is 999"),
        ("date", {"minimum": "2026-10-01", "maximum": "2026-09-30"}, "maximum: it is 2026-09-30"),
        ("datetime", {"minimum": "2026-01-01T00:00:00Z", "maximum": "2026-01-01T01:00:00+02:00"}, "maximum"),
        ("time", {"minimum": "10:00", "maximum": "09:59:59"}, "maximum"),
        ("yearmonth", {"minimum": "2026-10", "maximum": "2026-09"}, "maximum"),
        ("array", {"minLength": 3, "maxLength": 2}, "maxLength: it is 2 and minLength is 3"),
        ("string", {"enum": []}, "enum: expected at least one value"),
        ("string", {"enum": ["a", "bb"], "maxLength": 1}, "enum: 'bb' can never pass, for maxLength is 1: correct"),
        ("string", {"enum": ["a", "b"], "pattern": "a"}, "enum: 'b' can never pass, for pattern is a"),
        ("date", {"enum": ["2026-01-01"], "minimum": "2026-01-02"}, "enum: '2026-01-01' can never pass, for minimum"),
    ],
    ids=str,
)
def test_rules_that_contradict_each_other_are_named(write_dataset, type_, rules, named):
    with pytest.raises(SettingError) as error:
        write_dataset(**fields({"type": type_, "constraints": rules}), summary={})
    assert f"numbers.json: field 'f0': constraints.{named}" in str(error.value)


def test_an_option_must_have_the_format_of_its_field(write_dataset):
    with pytest.raises(
        SettingError, match=r"'f0': constraints\.enum: expected an e-mail address, .* found 'x': correct"
    ):
        write_dataset(**fields({"format": "email", "constraints": {"enum": ["a@b.de", "x"]}}), summary={})


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        (
            {
                "delimiter": ",", "quoteChar": '"', "doubleQuote": True, "skipInitialSpace": False, "header": False,
                "headerRows": [1], "headerJoin": " ", "commentRows": [1], "sheetNumber": 1, "sheetName": "A",
            },
            {"type": "boolean", "trueValues": ["true", "True", "TRUE", "1"], "missingValues": ["", "0"]},
        ),
        ({}, {"constraints": {"enum": ["", "A"], "minLength": 1, "maxLength": 1, "pattern": "A", "required": True}}),
        ({}, {"type": "integer", "constraints": {"minimum": 3, "exclusiveMaximum": 4, "maximum": 3, "enum": [3]}}),
        ({}, {"type": "number", "constraints": {"exclusiveMinimum": 3, "exclusiveMaximum": 4}}),
    ],
    ids=range(4),
)  # fmt: skip
def test_defaults_and_rules_that_agree_are_taken(write_dataset, dialect, field):
    """The standard's own defaults are, beside whatever else, and words for null among the options."""
    assert write_dataset(**fields(field), dialect=dialect, summary={}).contract.dialect.header == (not dialect)


def test_the_name_must_be_the_files(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps(NUMBERS))
    with pytest.raises(SettingError, match="expected 'other'"):
        read_datasets(tmp_path)


def test_broken_json_names_the_file(tmp_path):
    (tmp_path / "numbers.json").write_text("{")
    with pytest.raises(SettingError, match=r"numbers\.json"):
        read_datasets(tmp_path)


OF_FIELD = '{"name": "my", "schema": {"fields": [{"name": "a", %s}]}}'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"name": "my", "name": "my", "schema": {}}', "'name' is there twice"),
        (OF_FIELD % '"constraints": {"minLength": 1}, "constraints": {}', "'constraints' is there twice"),
        (OF_FIELD % '"constraints": {"minimum": NaN}', "NaN"),
        (OF_FIELD % '"title": ""' + " {}", "Extra data"),
        (OF_FIELD % '"title": "\\ud800"', "surrogates"),
        (OF_FIELD % ('"title": 1' + "0" * 5000), "JSON"),
        ("[" * 100_000, "too deep"),
        ("[]", "the file"),
    ],
    ids=range(8),
)
def test_json_that_says_two_things_or_none(tmp_path, text, named):
    """Of a key that was there twice the last one counted, and the first one's checks were lost."""
    (tmp_path / "my.json").write_text(text)
    with pytest.raises(SettingError, match=r"my\.json") as error:
        read_datasets(tmp_path)
    assert named in str(error.value)


def test_how_a_contract_is_written(tmp_path):
    """The editor adds a byte order mark to UTF-8; as UTF-16 it says what it is."""
    path, text = tmp_path / "numbers.json", json.dumps(NUMBERS)
    path.write_text(text, "utf-8-sig")
    assert set(read_datasets(tmp_path)) == {"numbers"}
    for encoding in ("utf-16", "utf-32"):
        path.write_text(text, encoding)
        with pytest.raises(SettingError, match="save it as UTF-8"):
            read_datasets(tmp_path)
    path.write_bytes(text.replace("numbers", "é").encode("latin-1"))
    with pytest.raises(SettingError, match=r"byte 1\d is not UTF-8"):
        read_datasets(tmp_path)


def test_the_words_for_null(write_dataset):
    """Those of a field replace the schema's; with labels or without."""
    labelled = [{"value": "", "label": "left out"}, {"value": "-99"}]
    schema = fields({}, {"missingValues": []}, {"missingValues": labelled})["schema"]
    contract = write_dataset(schema={**schema, "missingValues": ["", "NA"]}, summary={}).contract
    assert [*map(contract.missing_of, contract.fields)] == [{"", "NA"}, set(), {"", "-99"}]


def test_names_that_differ_in_case_after_the_transform(write_dataset, tmp_path):
    """In SQL a name means the first column that is called so in whatever case."""
    (tmp_path / "datasets").mkdir()
    code = 'def transform(frame):\n    frame["NAME"] = frame["name"]\n    return frame\n'
    (tmp_path / "datasets/numbers.py").write_text(code)
    with pytest.raises(SettingError, match=r"numbers\.py.*'name' and 'NAME' differ in case alone"):
        write_dataset()


CODECS = {*encodings.aliases.aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))}
NO_FILES = {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "mbcs", "oem"}


@pytest.mark.parametrize("encoding", sorted(CODECS))
def test_every_encoding_is_refused_or_reads_what_is_written_in_it(write_dataset, encoding):
    letters = "".join(one for one in "éßøжñΩأ日本かナ한€ş" if _has(encoding, one))
    text = "name,n,x\r\n" + "".join(f'"{letters}, ""{n}""\n{letters}",{n},0\r\n' for n in range(30))
    if encoding in NO_FILES or not _has(encoding, "a"):
        with pytest.raises(SettingError, match=f"encoding: '{encoding}' is .*: expected one of text"):
            write_dataset(encoding=encoding)
        return
    contract = write_dataset(encoding=encoding).contract
    for size in (7, 1 << 20):
        batches = list(read_csv(io.BytesIO(text.encode(encoding)), "a.csv", contract, block_size=size))
        found = [row["name"] for batch in batches for row in batch.rows.to_pylist()]
        assert found == [f'{letters}, "{n}"\n{letters}' for n in range(30)]


def _has(encoding: str, letter: str) -> bool:
    try:
        return letter.encode(encoding).decode(encoding) == letter
    except (LookupError, ValueError):
        return False


def test_a_fingerprint_changes_with_the_contract_alone(write_dataset):
    first = write_dataset().fingerprint
    assert write_dataset().fingerprint == first
    assert write_dataset(title="another").fingerprint != first
