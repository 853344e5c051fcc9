"""Row groups and encodings of a clean file: the rows stay what they are, and so do the bytes."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.load import clean_rows

ROWS = pa.table(
    {
        "id": range(100),
        "name": [f"name {number}" for number in range(100)],
        "word": ["few", "many"] * 50,
        "x": [number / 7 for number in range(100)],
        "a.b": [None, 1] * 50,
        "list": [[number] for number in range(100)],
    }
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(clean_rows, "GROUP_SIZE", 1000)
    monkeypatch.setattr(clean_rows, "SAMPLE", 50)


def write(path, step):
    with clean_rows.CleanWriter(path, ROWS.schema) as writer:
        for start in range(0, len(ROWS), step):
            writer.write(ROWS.slice(start, step))
        writer.finish({b"said": b"so"})
    return path


def test_rows_are_written_in_groups_and_in_order(tmp_path):
    file = pq.ParquetFile(write(tmp_path / "a", 10))
    assert file.num_row_groups > 2
    assert file.read().equals(ROWS)
    assert file.metadata.metadata[b"said"] == b"so"


@pytest.mark.parametrize(
    ("tables", "groups"),
    [
        pytest.param([ROWS.select(["id"]).take([n]) for n in range(50)], 1, id="small"),
        pytest.param([ROWS.select(["name"]).slice(n, 1) for n in range(3)], 3, id="slices"),
    ],
)
def test_a_group_is_what_is_held_in_memory(tables, groups, tmp_path):
    with clean_rows.CleanWriter(tmp_path / "a", tables[0].schema) as writer:
        for rows in tables:
            writer.write(rows)
        writer.finish({})
    assert pq.ParquetFile(tmp_path / "a").num_row_groups == groups


def test_the_same_rows_give_the_same_bytes(tmp_path):
    assert write(tmp_path / "a", 10).read_bytes() == write(tmp_path / "b", 10).read_bytes()


def test_no_rows_are_a_file_too(tmp_path):
    with clean_rows.CleanWriter(tmp_path / "a", ROWS.schema) as writer:
        writer.finish({})
    assert pq.read_table(tmp_path / "a").equals(ROWS.schema.empty_table())


def test_values_choose_their_encoding():
    flat = ROWS.drop_columns(["list"])
    chosen = clean_rows.encodings(flat)
    assert chosen["use_dictionary"] == ["word", "a.b"]
    assert chosen["column_encoding"] == {"id": "DELTA_BINARY_PACKED"}
    chosen = clean_rows.encodings(flat.slice(0, 10))
    assert chosen["use_dictionary"] == ["name", "word", "x"]
    assert chosen["column_encoding"] == dict.fromkeys(("id", "a.b"), "DELTA_BINARY_PACKED")


def test_a_nested_column_of_the_same_path_is_no_matter(tmp_path):
    rows = pa.table({"a.b": [1, 2], "a": [{"b": "one"}, {"b": "two"}]})
    with clean_rows.CleanWriter(tmp_path / "a", rows.schema) as writer:
        writer.write(rows)
        writer.finish({})
    assert pq.read_table(tmp_path / "a").equals(rows)


def test_what_is_packed_is_not_compressed_again(tmp_path):
    rows = ROWS.drop_columns(["list"]).append_column("key", pa.DictionaryArray.from_arrays([0] * 100, ["of one file"]))
    schema = rows.schema.set(5, pa.field("key", pa.string()))
    with clean_rows.CleanWriter(tmp_path / "a", schema) as writer:
        writer.write(rows)
        writer.finish({})
    group = pq.ParquetFile(tmp_path / "a").metadata.row_group(0)
    found = {group.column(n).path_in_schema: group.column(n).compression for n in range(group.num_columns)}
    packed = dict.fromkeys(("id", "key"), "UNCOMPRESSED")
    assert found == dict.fromkeys(rows.schema.names, "ZSTD") | packed
    assert pq.read_table(tmp_path / "a").equals(rows.cast(schema))


def test_an_error_of_the_writing_thread_is_the_callers(tmp_path):
    with clean_rows.CleanWriter(tmp_path / "gone" / "a", ROWS.schema) as writer:
        writer.write(ROWS)
        with pytest.raises(FileNotFoundError):
            writer.finish({})
