"""SQL over a lake with tables: what was loaded is in the answer, and once, however far behind the tables are."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from streamlit.testing.v1 import AppTest

from dashboard.query import page
from dashboard.query.client import views
from dashboard.query.newest import newest_loads
from dashboard.query.sandbox import QueryError, answer
from dashboard.query.tables import TableView, table_view, versions
from dashboard.shared.published import Published
from lake.layout import CLEAN, table_prefix
from tests.support.lake import Lake, company_csv
from tests.support.minio_server import until

NAME, PREFIX = "companydata", f"{CLEAN}companydata/"
VIEWS = views([NAME])
NAMES = [f"{NAME}/{name}.csv" for name in ("a", "b c", "_d", "e #1?", "100 %", "f's")]
FILES = 'SELECT _source_key, count(*), sum("Sold") FROM clean_companydata GROUP BY ALL ORDER BY ALL'


def ask(lake: Lake, sql: str, at: datetime | None = None) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in answer(lake.store, VIEWS, sql, at).to_pylist()]


def view_of(lake: Lake) -> TableView | None:
    newest = newest_loads(lake.store)
    assert newest
    return table_view(lake.store, PREFIX, newest)


def by_objects(lake: Lake) -> list[tuple[Any, ...]]:
    """Return the answer to `FILES`, by pyarrow from the clean objects."""
    found = []
    for info in lake.store.list(PREFIX):
        with lake.store.open(info.key) as (_, stream):
            rows = pq.read_table(io.BytesIO(stream.read()))
        found.append((rows["_source_key"][0].as_py(), len(rows), sum(rows["Sold"].to_pylist())))
    return sorted(found)


def fill(lake: Lake) -> Lake:
    """Load files, and bring the tables up to date."""
    for seed, name in enumerate(NAMES):
        lake.put(name, company_csv(seed))
    assert lake.finish("once", TABLES_SECONDS="5") == 0
    return lake


@pytest.fixture
def with_tables(local_lake: Lake) -> Lake:
    return fill(local_lake)


def test_what_the_tables_lack_is_in_the_answer(lake):
    fill(lake)
    before = ask(lake, FILES)
    assert before == by_objects(lake)
    with lake.pipeline(TABLES_SECONDS="3600", PIPELINE_RETRACT_DELETED="on", SWEEP_SECONDS="1"):
        lake.put(NAMES[3], company_csv(70))
        lake.put(f"{NAME}/new.csv", company_csv(71))
        lake.put(NAMES[4], b"nonsense")
        lake.store.delete(f"raw/{NAMES[5]}")
        until(lambda: lake.status()["files"] == {**lake.status()["files"], "loaded": 5, "refused": 1, "missing": 1})
        view = view_of(lake)
        assert view
        assert sorted(info.key for info in view._newer.objects) == [
            f"{PREFIX}e #1?.csv.parquet",
            f"{PREFIX}new.csv.parquet",
        ]
        assert ask(lake, FILES) == by_objects(lake) != before
        assert ask(lake, 'SELECT _source_key, _line FROM clean_companydata WHERE "Sold" > 280 ORDER BY ALL') == ask(
            lake, 'SELECT _source_key, _line FROM (FROM clean_companydata) WHERE "Sold" + 0 > 280 ORDER BY ALL'
        )
        assert ask(lake, "SELECT source_key, rule FROM rejected_companydata") == [(f"raw/{NAMES[4]}", "header")]
        assert ask(lake, FILES, versions(lake.store, PREFIX, 1)[0].at) == before


def test_no_answer_lacks_a_file_or_has_two_versions_of_one(with_tables):
    lake, chance = with_tables, Random(3)
    sql = 'SELECT _source_key, count(*), min("Returned"), max("Returned") FROM clean_companydata GROUP BY ALL'
    with lake.pipeline(TABLES_SECONDS="0.2"):
        end = time.monotonic() + 6
        while time.monotonic() < end:
            for name in chance.sample(NAMES, 2):
                lake.put(name, company_csv(chance.randint(0, 49)))  # `Returned` is that number in each row
            found = ask(lake, sql)
            assert [(rows, low) for _, rows, low, _ in found] == [(24, high) for _, _, _, high in found]
            assert {key for key, *_ in found} == {f"raw/{name}" for name in NAMES}
    assert ask(lake, FILES) == by_objects(lake)


def _is_loaded(lake: Lake, name: str) -> bool:
    load = lake.loads().get(name, {"status": "", "etag": ""})
    return load["status"] == "loaded" and load["etag"] == lake.store.stat(f"raw/{name}").etag


def _lose_the_ledger(lake: Lake) -> None:
    for path in lake.state.glob("ledger.sqlite*"):
        path.unlink()


def _change_the_contract(lake: Lake) -> None:
    datasets = lake.state.parent / "datasets"
    datasets.mkdir()
    fields = [{"name": name, "type": "string"} for name in ("Month", "Dept", "Store")]
    fields += [{"name": name, "type": "number"} for name in ("Sold", "Returned", "Ordered")]
    (datasets / "companydata.json").write_text(
        f'{{"name": "companydata", "schema": {{"fields": {fields}}}}}'.replace("'", '"')
    )
    lake.environ["PIPELINE_DATASETS"] = str(datasets)


def _remove_the_table(lake: Lake) -> None:
    for info in list(lake.store.list(table_prefix(CLEAN, NAME))):
        lake.store.delete(info.key)


@pytest.mark.parametrize("spoil", [_lose_the_ledger, _change_the_contract, _remove_the_table])
def test_the_objects_are_read_where_no_table_fits(with_tables, spoil: Callable[[Lake], None]):
    lake = with_tables
    spoil(lake)
    with lake.pipeline(TABLES_SECONDS="3600"):
        lake.put(NAMES[0], company_csv(90))
        until(lambda: _is_loaded(lake, NAMES[0]))
        assert view_of(lake) is None
        assert ask(lake, FILES) == by_objects(lake)


def test_a_table_that_lost_a_file_and_versions_that_are_gone(with_tables):
    lake = with_tables
    address, options = lake.store.address(table_prefix(CLEAN, NAME))
    table = DeltaTable(address, storage_options=options)
    [file] = table.file_uris()
    first = versions(lake.store, PREFIX, 1)[0].at
    lake.store.delete(table_prefix(CLEAN, NAME) + file.rpartition("/")[2])
    assert ask(lake, FILES) == by_objects(lake)
    with pytest.raises(QueryError, match="Files of that version are gone"):
        ask(lake, FILES, first)
    with pytest.raises(QueryError, match=r"The first version of clean/companydata/ is of .*: there is none of 2020-"):
        ask(lake, FILES, first.replace(year=2020))
    with pytest.raises(QueryError, match="published_loads has no earlier versions"):
        ask(lake, "FROM published_loads", first)


def test_what_was_published_before_the_last_commit_is_read_from_the_objects(with_tables):
    """The table may lack a file then that is loaded again, and whose newer result comes with the next commit."""
    newest = newest_loads(with_tables.store)
    assert newest
    place = table_prefix(CLEAN, NAME)
    last = newest.tables[place].position
    [key] = newest.after(NAME, last - 1)
    address, options = with_tables.store.address(place)
    nothing = DeltaTable(address, storage_options=options).to_pyarrow_table().slice(0, 0)
    where = {"mode": "overwrite", "predicate": "_source_key = '" + key.replace("'", "''") + "'"}  # as a commit replaces
    write_deltalake(address, nothing, storage_options=options, **where)
    before = replace(newest, tables={place: replace(newest.tables[place], position=last - 1, files=1)})
    view = table_view(with_tables.store, PREFIX, before)
    assert view
    keys = view.scanner(columns=["_source_key"]).to_reader().read_all()["_source_key"].to_pylist()
    assert {key: keys.count(key) for key in keys} == {f"raw/{name}": 24 for name in NAMES}


def test_an_answer_without_the_newest_files_says_so(with_tables):
    newest = newest_loads(with_tables.store)
    assert newest
    lacking = {prefix: replace(reached, files=7_000) for prefix, reached in newest.tables.items()}
    view = table_view(with_tables.store, PREFIX, replace(newest, tables=lacking))
    assert view
    assert "is far behind: the newest results of about 7,000 files are not in this answer" in view.note
    stale = {prefix: replace(reached, stale=2) for prefix, reached in newest.tables.items()}
    view = table_view(with_tables.store, PREFIX, replace(newest, tables=stale))
    assert view
    assert "Stale: 2 files of companydata" in view.note
    assert pa.schema(view.schema).names[-2:] == ["_source_key", "_line"]


def script(show: "Any", published: "Any") -> None:
    show(published)  # Streamlit copies this source into a file of its own, where no name of this one is known


def test_a_version_is_chosen_on_the_page(local_lake):
    lake = local_lake
    lake.put(NAMES[0], company_csv(1))
    assert lake.finish("once", TABLES_SECONDS="5") == 0
    lake.put(NAMES[1], company_csv(2))
    assert lake.finish("once", TABLES_SECONDS="5") == 0
    test = AppTest.from_function(script, default_timeout=60, args=(page.show, Published(lake.store))).run()
    test.text_area("query-sql").set_value("SELECT count(*) AS rows FROM clean_companydata")
    test.button[0].click().run()
    assert test.dataframe[1].value.to_dict("list") == {"rows": [48]}
    test.segmented_control("query-as-of").set_value("a version").run()
    test.selectbox("query-version-of").select("clean_companydata").run()
    test.selectbox("query-version clean_companydata").select_index(1).run()
    test.button[0].click().run()
    assert not test.exception
    assert test.dataframe[1].value.to_dict("list") == {"rows": [24]}
    assert "1 row as of 20" in test.caption[-1].value
