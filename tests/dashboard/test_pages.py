from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.queries import Published
from dashboard.views import overview, pipeline
from storage import ObjectInfo, ObjectStore, StoreUnavailable
from storage.layout import STATUS
from storage.local import LocalStore
from tests.dashboard.publish import (
    counts,
    load,
    publish_companydata,
    publish_loads,
    publish_status,
    publish_summary,
    writer,
)

APP = Path(dashboard.__file__).with_name("app.py")
Show = Callable[[Published], None]
both = pytest.mark.parametrize("show", [overview.show, pipeline.show], ids=["overview", "pipeline"])


class FaultyStore(LocalStore):
    """A folder that answers with `fault` while there is one."""

    fault: OSError | None = None

    def stat(self, key: str) -> ObjectInfo:
        if self.fault:
            raise self.fault
        return super().stat(key)


def script(show: "Show", published: "Published") -> None:
    show(published)  # Streamlit copies this source into a file of its own, where no name of this one is known


def page(show: Show, store: ObjectStore) -> AppTest:
    test = AppTest.from_function(script, default_timeout=30, args=(show, Published(store)))
    return healthy(test.run())


def healthy(test: AppTest) -> AppTest:
    assert not test.exception, test.exception[0].value
    return test


def metrics(test: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def fill(store: ObjectStore) -> None:
    rows = {"read": 1234567, "kept": 1234000, "rejected": 567}
    parts = counts(rows=rows, files={"loaded": 3}, latency_ms={"p50": 11.2}, found_by={"event": 3, "sweep": 1})
    publish_companydata(store, [1405, 1333, 1290])
    publish_status(store, datasets={"companydata": parts}, **parts)
    publish_loads(store, [load("raw/companydata/a.csv"), load("raw/companydata/b.csv", status="refused")])


@both
def test_an_empty_lake_says_what_to_do(store: ObjectStore, show: Show) -> None:
    test = page(show, store)
    assert "Nothing is published yet" in test.info[0].value
    assert "make run" in test.info[0].value
    assert "http://localhost:8001" in test.info[0].value
    assert not test.error


@both
def test_a_pipeline_without_files_says_where_they_come_from(store: ObjectStore, show: Show) -> None:
    publish_status(store)
    test = page(show, store)
    assert "No file has landed yet" in test.info[0].value


def test_the_overview_shows_chart_table_and_numbers(store: ObjectStore) -> None:
    fill(store)
    test = page(overview.show, store)
    assert metrics(test)["Rows kept"] == "1,234,000"
    assert metrics(test)["Rows rejected"] == "567"
    assert test.dataframe[0].value["Sold"].tolist() == [1333, 1405, 1290]
    assert len(test.get("echarts_chart")) == 1
    assert "Pipeline alive 0 s ago" in test.markdown[0].value


def test_a_new_result_is_shown_at_the_next_run(store: ObjectStore) -> None:
    fill(store)
    test = page(overview.show, store)
    publish_companydata(store, [1, 2, 3])
    assert healthy(test.run()).dataframe[0].value["Sold"].tolist() == [2, 1, 3]


def test_a_dataset_without_rows_says_so(store: ObjectStore) -> None:
    publish_status(store, datasets={"orders": counts(files={"refused": 1})})
    test = page(overview.show, store)
    assert "No rows are loaded yet" in test.info[0].value


def test_a_dataset_of_any_name_is_shown_as_it_is(store: ObjectStore) -> None:
    name = "*é* [a](b) `c`"
    publish_summary(store, name, {"kind": ["x"], "rows": [1]}, {"groupBy": ["kind"], "sum": []})
    publish_status(store, datasets={name: counts()})
    test = page(overview.show, store)
    assert test.subheader[0].value == r"\*é\* \[a\]\(b\) \`c\`"


def test_the_pipeline_page_shows_loads_and_numbers(store: ObjectStore) -> None:
    fill(store)
    test = page(pipeline.show, store)
    shown = metrics(test)
    assert (shown["p50"], shown["p95"], shown["event"], shown["sweep"]) == ("11 ms", "–", "3", "1")  # noqa: RUF001
    totals, loads = test.dataframe[0].value, test.dataframe[1].value
    assert totals["dataset"].tolist() == ["companydata", "all"]
    assert totals["rows rejected"].tolist() == [567, 567]
    assert sorted(loads["status"]) == ["loaded", "refused"]
    assert loads["milliseconds"].tolist() == [11, 11]


def test_loads_are_filtered_by_status(store: ObjectStore) -> None:
    fill(store)
    test = page(pipeline.show, store)
    test.button_group(key="statuses").set_value(["refused"])
    assert healthy(test.run()).dataframe[1].value["source_key"].tolist() == ["raw/companydata/b.csv"]


def test_only_the_first_loads_are_sent_and_it_is_said(store: ObjectStore) -> None:
    publish_status(store)
    publish_loads(store, [load(f"raw/orders/{number}.csv") for number in range(pipeline.MAX_LOADS + 1)])
    test = page(pipeline.show, store)
    assert len(test.dataframe[1].value) == pipeline.MAX_LOADS
    assert test.caption[0].value == "501 files, the latest first. The table has the first 500."


@both
def test_a_silent_pipeline_is_missed(store: ObjectStore, show: Show) -> None:
    publish_status(store, writer=writer(seconds_ago=40))
    test = page(show, store)
    assert "No heartbeat for 40 s" in test.warning[0].value
    assert "make run" in test.warning[0].value


@both
def test_a_stopped_pipeline_is_said(store: ObjectStore, show: Show) -> None:
    publish_status(store, writer=None)
    assert "The pipeline is stopped" in page(show, store).warning[0].value


@both
def test_a_store_that_is_away_is_waited_for(tmp_path: Path, show: Show) -> None:
    store = FaultyStore(tmp_path)
    store.fault = StoreUnavailable("connection refused")
    fill(store)
    test = page(show, store)
    assert "does not answer" in test.error[0].value
    assert "connection refused" in test.error[0].value
    assert not test.metric
    store.fault = None
    test = healthy(test.run())
    assert not test.error
    assert test.metric


@both
def test_what_was_last_read_stays_while_the_store_is_away(tmp_path: Path, show: Show) -> None:
    store = FaultyStore(tmp_path)
    fill(store)
    test = page(show, store)
    store.fault = StoreUnavailable("connection refused")
    test = healthy(test.run())
    assert "Below is what was last read" in test.error[0].value
    assert test.metric
    assert not any("Pipeline alive" in text.value for text in test.markdown)  # nothing is known about it now


@both
def test_a_store_that_refuses_names_the_key(tmp_path: Path, show: Show) -> None:
    store = FaultyStore(tmp_path)
    store.fault = PermissionError("AccessDenied")
    assert "AWS_ACCESS_KEY_ID" in page(show, store).error[0].value


@both
def test_a_broken_object_is_named(store: ObjectStore, show: Show) -> None:
    store.put(STATUS, b"{")
    assert r"published\/status\.json" in page(show, store).error[0].value


def app(monkeypatch: pytest.MonkeyPatch, url: str) -> AppTest:
    monkeypatch.setenv("LAKE_URL", url)
    return healthy(AppTest.from_file(APP, default_timeout=30).run())


def test_the_app_reads_the_lake_that_is_set(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    test = app(monkeypatch, store.url)
    assert test.title[0].value == "Overview"
    assert test.dataframe[0].value["Sold"].tolist() == [1333, 1405, 1290]


@pytest.mark.parametrize(("url", "named"), [("ftp://lake", "LAKE_URL"), ("s3://lake", "AWS_ENDPOINT_URL")])
def test_a_wrong_setting_is_one_line(monkeypatch: pytest.MonkeyPatch, url: str, named: str) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    test = app(monkeypatch, url)
    assert named in test.error[0].value
    assert len(test.error[0].value.splitlines()) == 1
    assert not test.title
