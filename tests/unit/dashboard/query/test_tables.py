import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from dashboard.query.newest import newest_loads
from dashboard.query.tables import TableView
from lake.layout import LOADS
from lake.stores.base import ObjectStore
from tests.support.publish import load, parquet, publish_loads


def test_a_column_of_a_dataset_may_have_the_name_that_names_the_source_in_rejects(tmp_path):
    rows = {"_source_key": ["raw/a", "raw/b"], "_line": [2, 2], "source_key": ["raw/b", "raw/a"]}
    write_deltalake(tmp_path / "table", pa.table(rows))
    view = TableView(DeltaTable(tmp_path / "table"), None, ["raw/a"])
    assert view.schema.names == ["source_key", "_source_key", "_line"]
    assert view.scanner().to_reader().read_all().to_pylist() == [
        {"source_key": "raw/a", "_source_key": "raw/b", "_line": 2}
    ]


def test_loads_of_another_form_are_as_if_there_were_none(store: ObjectStore):
    assert newest_loads(store) is None
    publish_loads(store, [load("raw/orders/a.csv")])  # as an earlier version publishes them
    assert newest_loads(store) is None
    metadata = {b"lakelet": b'{"ledger": "x", "tables": {"tables/clean/orders/": {"place": 7}}}'}
    store.put(LOADS, parquet(pa.table({"source_key": ["raw/orders/a.csv"]}).replace_schema_metadata(metadata)))
    assert newest_loads(store) is None
    store.put(LOADS, b"PAR1")
    assert newest_loads(store) is None
