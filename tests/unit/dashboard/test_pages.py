import io
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from common.errors import StoreUnavailable
from dashboard.files import loads
from dashboard.files import page as pipeline
from dashboard.overview import page as overview
from dashboard.query import page as query
from dashboard.rejects import page as rejects
from dashboard.shared.published import Published
from dashboard.shared.selection import as_row
from lake.layout import LOADS, STATUS, rejected_key
from lake.stores.arrow_dataset import ObjectDataset
from lake.stores.base import ObjectInfo, ObjectStore
from lake.stores.local import LocalStore
from tests.support.page_stores import FaultyStore
from tests.support.project import ROOT
from tests.support.publish import (
    counted,
    counts,
    iso,
    load,
    parquet,
    problem,
    publish_companydata,
    publish_loads,
    publish_status,
    publish_summary,
    put_rejected,
    refusal,
    writer,
)

APP = Path(dashboard.__file__).with_name("page.py")
Show = Callable[[Published], None]
every = pytest.mark.parametrize(
    "show",
    [overview.show, pipeline.show, rejects.show, query.show],
    ids=["overview", "pipeline", "rejects", "query"],
)


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
    put_rejected(store, "raw/companydata/b.csv", [refusal()])


@every
def test_an_empty_lake_says_what_to_do(store: ObjectStore, show: Show) -> None:
    test = page(show, store)
    assert "Nothing is published yet" in test.info[0].value
    assert "make run" in test.info[0].value
    assert "http://localhost:8001" in test.info[0].value
    assert not test.error


@every
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
    assert len(test.get("echarts_chart")) == 2  # the summary and the throughput
    assert re.search(r"Pipeline alive \d s ago", test.markdown[0].value)


def test_rows_add_up_or_it_is_said(store: ObjectStore) -> None:
    fill(store)
    assert "1,234,567 read = 1,234,000 kept + 0 dropped + 567 rejected" in page(overview.show, store).caption[0].value
    publish_status(store, datasets={"companydata": counts(rows={"read": 9, "kept": 7, "rejected": 1})})
    said = page(overview.show, store).caption[0].value
    assert "1 missing" in said
    assert "pipeline verify" in said


def test_measures_and_groups_can_be_chosen(store: ObjectStore) -> None:
    fill(store)
    test = page(overview.show, store)
    assert any(re.search(r"last result \d s ago", text.value) for text in test.markdown)
    test.button_group("measures-companydata").set_value(["Returned"])
    test = healthy(test.run())
    assert list(test.dataframe[0].value) == ["Dept", "Returned", "rows"]
    test.button_group("groups-companydata").set_value([])
    assert healthy(test.run()).dataframe[0].value.to_dict("list") == {"Returned": [277], "rows": [24]}
    publish_summary(
        store, "companydata", {"Shop": ["x"], "rows": [1], "Kept": [2]}, {"groupBy": ["Shop"], "sum": ["Kept"]}
    )
    assert "Kept" in healthy(test.run()).dataframe[0].value  # another contract: what was chosen is not there now


def test_a_new_result_is_shown_at_the_next_run(store: ObjectStore) -> None:
    fill(store)
    test = page(overview.show, store)
    publish_companydata(store, [1, 2, 3])
    assert healthy(test.run()).dataframe[0].value["Sold"].tolist() == [2, 1, 3]


def test_a_dataset_without_rows_says_so(store: ObjectStore) -> None:
    publish_status(store, datasets={"orders": counts(files={"refused": 1})})
    test = page(overview.show, store)
    assert "No rows are loaded yet" in test.info[0].value


def test_what_is_infinite_or_beyond_64_bits_breaks_nothing(store: ObjectStore) -> None:
    columns = {"ratio": [math.inf, math.nan, 0.0042], "rows": [1, 1, 1], "sold": [9 * 10**18, 9 * 10**18, None]}
    columns["paid"] = [math.inf, 1.5, math.nan]
    publish_summary(store, "a", columns, {"groupBy": ["ratio"], "sum": ["sold", "paid"]})
    publish_companydata(store, [1405, 1333, 1290])
    publish_status(store, datasets={"a": counts(rows={"kept": 3}), "companydata": counts()})
    test = page(overview.show, store)
    assert len(test.dataframe) == len(test.get("echarts_chart")) == 2
    shown = test.dataframe[0].value
    assert shown["ratio"].tolist() == ["0.0042", "∞", "NaN"]
    assert shown["sold"].fillna("null").tolist() == ["null", *["9,000,000,000,000,000,000"] * 2]
    assert any("null: a sum beyond 64 bits" in caption.value for caption in test.caption)
    assert "Infinity" not in test.get("echarts_chart")[0].proto.spec
    test.button_group("groups-a").set_value([])
    assert healthy(test.run()).dataframe[0].value["sold"].isna().tolist() == [True]  # one is unknown, so is the sum


def test_what_cannot_be_shown_of_one_dataset_takes_no_other_away(store: ObjectStore) -> None:
    times = pa.array([-(2**62)], pa.timestamp("us", "UTC"))  # which no clock of Python's has
    publish_summary(store, "a", {"time": times, "rows": [1]}, {"groupBy": ["time"], "sum": []})
    publish_companydata(store, [1405, 1333, 1290])
    publish_status(store, datasets={"a": counts(), "companydata": counts()})
    test = page(overview.show, store)
    assert [error.value.partition(":")[0] for error in test.error] == ["**This cannot be shown"]
    assert test.dataframe[-1].value["Sold"].tolist() == [1333, 1405, 1290]


@pytest.mark.parametrize("counted_together", [True, False])
def test_hundreds_of_stray_folders_are_a_line_and_not_a_card_each(store: ObjectStore, counted_together: bool) -> None:
    strays = [f"stray{number:03}" for number in range(600)]
    refused = counts(files={"refused": 1})
    sections = dict.fromkeys(strays, refused)
    together = {"no_contract": {**refused, "folders": 600, "names": strays[:10]}} if counted_together else {}
    publish_companydata(store, [1405, 1333, 1290])
    datasets = {"zz": counts(), "companydata": counts(rows={"kept": 24})} | ({} if counted_together else sections)
    publish_status(store, datasets=datasets, **together)
    test = page(overview.show, store)
    names = [subheader.value for subheader in test.subheader]
    assert "companydata" in names
    assert len(names) <= overview.MAX_CARDS
    assert ("600 folders under `raw/` without a contract" in test.info[-1].value) == counted_together
    if not counted_together:  # an older pipeline's
        test.multiselect("overview-datasets").set_value(["stray599"])
        assert [subheader.value for subheader in healthy(test.run()).subheader] == ["stray599"]
    lines = page(pipeline.show, store).dataframe[0].value["dataset"].tolist()
    assert lines[-2:] == (["(no contract)", "all"] if counted_together else ["stray198", "all"])


WORD_JOINER = "\u2060"
HOSTILE = [
    "Paid ($) of due ($)",
    "a_b*c*",
    ":red[x]",
    ":smile: :streamlit:",
    "<b>x</b> -> y",
    "# h\n\n    i",
    "x" * 300,
]


def test_names_are_labels_and_never_markup(store: ObjectStore) -> None:
    columns = {name: ["a" if "$" in name else ""] for name in HOSTILE} | {f"sum {name}": [1] for name in HOSTILE}
    publish_summary(
        store, "a", {"rows": [1]} | columns, {"groupBy": HOSTILE, "sum": [f"sum {name}" for name in HOSTILE]}
    )
    publish_status(store, datasets={"a": counts()})
    groups = page(overview.show, store).button_group("groups-a")
    labels = [option.content for option in groups.proto.options]
    assert labels[:3] == [r"Paid \(\$\) of due \(\$\)", r"a\_b\*c\*", r"\:red\[x\]"]
    assert all(len(label) < 200 and "\n" not in label for label in labels)


@pytest.mark.parametrize("show", [overview.show, pipeline.show, rejects.show], ids=["overview", "pipeline", "rejects"])
def test_an_error_that_nobody_expected_is_one_sentence_and_in_the_log_once(
    store: ObjectStore, show: Show, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Published) -> None:
        raise ZeroDivisionError("a $reason$\nof two lines")

    fill(store)
    monkeypatch.setattr(Published, "status", broken)
    monkeypatch.setattr(Published, "loads", broken)
    test = page(show, store)
    assert re.match(r"\*\*This cannot be shown.*ZeroDivisionError.*a \\\$reason\\\$ of two lines", test.error[0].value)
    assert len(test.error) == 1
    healthy(test.run())
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == 1
    monkeypatch.undo()
    assert not healthy(test.run()).error


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


def test_loads_are_filtered_by_dataset(store: ObjectStore) -> None:
    publish_status(store)
    publish_loads(store, [load("raw/orders/a.csv"), load("raw/companydata/b.csv"), load("raw/x.txt", dataset="")])
    test = page(pipeline.show, store)
    assert test.multiselect("load-dataset").options == ["companydata", "orders"]
    test = healthy(test.multiselect("load-dataset").select("orders").run())
    assert test.dataframe[1].value["source_key"].tolist() == ["raw/orders/a.csv"]


def codes(test: AppTest) -> list[str]:
    return [code.value for code in test.code]


def test_what_failed_or_is_stale_comes_with_its_command(store: ObjectStore) -> None:
    publish_status(store, **counts(files={"failed": 2, "stale": 1}))
    test = page(pipeline.show, store)
    assert [warning.value.partition("**")[2].partition("**")[0] for warning in test.warning] == [
        "2 files failed",
        "1 file stale:",
    ]
    assert codes(test) == [
        ".venv/bin/python -m pipeline replay --status failed",
        ".venv/bin/python -m pipeline replay --stale",
    ]


def test_a_load_opens_to_what_is_known_of_it(store: ObjectStore) -> None:
    key = "raw/orders/it's.csv"
    bad = load(key, rows_read=24, rows_kept=20, rows_dropped=1, rows_rejected=3, first_problem="line 3: no number")
    publish_status(store)
    publish_loads(store, [bad, load("raw/orders/b.csv", status="pending", loaded_at=None, rows_kept=None)])
    test = page(pipeline.show, store)
    test.session_state["load-open"] = {"source_key": key}  # as a click does, which AppTest cannot do on a table
    test = healthy(test.run())
    shown = metrics(test)
    assert [shown[f"Rows {name}"] for name in ("read", "kept", "dropped", "rejected")] == ["24", "20", "1", "3"]
    assert (shown["Noticed after"], shown["Waited"], shown["Loaded in"]) == ("0 ms", "0 ms", "11 ms")
    problem, objects, again, asked, debug = codes(test)
    assert problem == "line 3: no number"
    assert objects.split("\n") == [key, "clean/orders/it's.csv.parquet", "rejected/orders/it's.csv.parquet"]
    assert again == """.venv/bin/python -m pipeline replay 'raw/orders/it'"'"'s.csv'"""
    assert asked == key
    assert debug == """make debug KEY='raw/orders/it'"'"'s.csv'"""
    assert any("**Pipeline (one file)**" in text.value for text in test.markdown)
    waiting = load("raw/orders/b.csv", status="pending", loaded_at=None, rows_kept=None)
    publish_loads(store, [load("raw/orders/new.csv"), load(key, rows_read=25), waiting])
    test = healthy(test.run())
    assert metrics(test)["Rows read"] == "25"  # it is live, while the table stands still
    assert len(test.dataframe[1].value) == 2
    test.session_state["load-open"] = {"source_key": "raw/orders/b.csv"}
    assert metrics(healthy(test.run()))["Loaded in"] == "–"  # noqa: RUF001
    test = healthy(test.button("load-close").click().run())
    assert test.dataframe[1].value["source_key"].tolist()[0] == "raw/orders/new.csv"
    assert not test.code


def test_only_the_first_loads_are_sent_and_it_is_said(store: ObjectStore) -> None:
    publish_status(store)
    publish_loads(store, [load(f"raw/orders/{number}.csv") for number in range(loads.MAX_LOADS + 1)])
    test = page(pipeline.show, store)
    assert len(test.dataframe[1].value) == loads.MAX_LOADS
    note = "501 files, the latest first. Select a file to open it. The table has the first 500."
    assert test.caption[0].value == note


@pytest.mark.parametrize(
    ("files", "caption"),
    [
        (None, ""),
        (0, "Tables are up to date."),
        (-1, "Tables are switched off: they stay as they were."),
        (1, "Tables are 1 file, and 12 s, behind."),
        (1200, "Tables are 1,200 files, and 12 s, behind."),
    ],
)
def test_the_pipeline_page_shows_how_far_tables_are_behind(store: ObjectStore, files: int | None, caption: str) -> None:
    oldest = iso(datetime.now(UTC) - timedelta(seconds=12)) if files else None
    tables = {"files": files, "oldest_at": oldest} if files != -1 else {"off": True}
    tables = None if files is None else tables
    publish_status(store, datasets={"companydata": counts() | {"tables": tables}}, tables=tables)
    publish_loads(store, [load("raw/companydata/a.csv")])
    captions = [item.value for item in page(pipeline.show, store).caption]
    shown = [item for item in captions if item.startswith("Tables")]
    # The page may be drawn in the second after.
    assert [item.replace("13 s", "12 s") for item in shown] == ([caption] if caption else [])


def test_the_pipeline_page_shows_for_a_day_that_a_table_was_built_anew(store: ObjectStore) -> None:
    events = []
    for name, hours in (("clean", 2), ("rejected", 30)):
        at = iso(datetime.now(UTC) - timedelta(hours=hours, seconds=30))
        events.append({"table": f"tables/{name}/orders/", "at": at, "reason": "the contract has other columns"})
    tables = {"files": 0, "oldest_at": None, "built_anew": events}
    publish_status(store, datasets={"orders": counts() | {"tables": tables}}, tables=tables)
    publish_loads(store, [load("raw/orders/a.csv")])
    shown = [item.value for item in page(pipeline.show, store).caption if "built anew" in item.value]
    assert [text.replace("\\", "") for text in shown] == [
        "The table tables/clean/orders/ was built anew 2 h ago: the contract has other columns."
    ]


def test_the_pipeline_page_shows_the_workers_that_load(store: ObjectStore) -> None:
    since, keys = datetime.now(UTC), [f"raw/orders/{name}.csv" for name in "abc"]
    busy = {"name": "7", "version": "0.2.0", "loads": 16, "files": keys, "since": iso(since)}
    processes = [busy, {"name": "8", "version": "0.2.0"}]
    lost = {"at": "2026-11-29T14:02:11Z", "text": "process 6 was ended by *SIGKILL*"}
    publish_status(store, executor={"kind": "processes", "workers": processes, "events": [lost]})
    test = page(pipeline.show, store)
    assert [expander.label for expander in test.expander] == ["Loads: 2 processes"]
    [told] = [item.value for item in test.caption if "process 6" in item.value]
    assert told == r"2026-11-29 14:02:11 UTC: process 6 was ended by \*SIGKILL\*"
    workers = test.dataframe[1].value
    assert list(workers) == ["worker", "loads now", "since", "version"]  # all are on one host
    assert workers["worker"].tolist() == ["7", "8"]
    assert workers["loads now"].fillna("-").tolist() == [f"{', '.join(keys)} and 13 more", "-"]
    assert workers["since"].tolist()[0] == pd.Timestamp(iso(since))
    assert not test.warning
    for executor, label in (
        ({"kind": "main thread", "workers": [busy]}, "Loads: main thread of the pipeline"),
        ({"kind": "cluster", "address": "tls://a_b_:1", "workers": [busy]}, r"tls\:\/\/a\_b\_\:1, 1 worker"),
    ):
        publish_status(store, executor=executor)
        assert healthy(test.run()).expander[0].label.replace(WORD_JOINER, "").endswith(label)
    publish_status(store)  # of a pipeline that ended in order, or of an older one
    assert not healthy(test.run()).expander


def test_the_pipeline_page_says_why_files_wait_and_which_workers_get_none(store: ObjectStore) -> None:
    workers = [{"name": f"w*{number}*", "host": "h", "version": "0.1", "other": "its $x$"} for number in range(7)]
    executor = {"kind": "cluster", "address": "tcp://a:1", "state": "No *worker* is of this version."}
    publish_status(store, executor=executor | {"workers": [*workers, {"name": "good", "host": "h"}]})
    test = page(pipeline.show, store)
    state, others = (warning.value for warning in test.warning)
    assert state == r"**Nothing can be loaded now.** No \*worker\* is of this version\."
    first, *lines = others.split("\n")
    assert first.startswith("**7 workers get no files.** Start each of them again")
    assert lines[1] == r"- **w\*0\*** on h: its \$x\$ (version 0\.1)"
    assert lines[-1] == "- and 2 more"
    assert test.dataframe[1].value["loads now"].fillna("-").tolist() == ["gets no files"] * 7 + ["-"]


def test_the_pipeline_page_says_which_edits_are_not_in_use(store: ObjectStore) -> None:
    edits = [{"dataset": f"d{number}", "reason": "d.json: *no*", "action": "mend it"} for number in range(7)]
    publish_status(store, edits=edits)
    test = page(pipeline.show, store)
    [told] = (warning.value for warning in test.warning)
    assert told.startswith(
        "**7 edits of contracts and transforms are not in use.**\n\n- d\\.json\\: \\*no\\*\\; mend it\n"
    )
    assert told.endswith("\n- and 2 more")
    publish_status(store, edits=[{"dataset": "d", "reason": "changed: restart"}])
    [told] = (warning.value for warning in healthy(test.run()).warning)
    assert told == "**1 edit of contracts and transforms is not in use.**\n\n- changed\\: restart"


@every
def test_a_silent_pipeline_is_missed(store: ObjectStore, show: Show) -> None:
    publish_status(store, writer=writer(seconds_ago=40 * 60))
    test = page(show, store)
    assert "No heartbeat for 40 min" in test.warning[0].value
    assert "make run" in test.warning[0].value


@every
def test_a_stopped_pipeline_is_said(store: ObjectStore, show: Show) -> None:
    publish_status(store, writer=None)
    assert "The pipeline is stopped" in page(show, store).warning[0].value


@every
@pytest.mark.parametrize("beats", [None, 0.0, 40.0])
def test_why_a_pipeline_ended_is_said_until_another_has_got_through_its_start(
    store: ObjectStore, show: Show, beats: float | None
) -> None:
    ended = {
        "at": writer(seconds_ago=600)["heartbeat_at"],
        "text": "PIPELINE_STATE: it is *damaged*: remove its folder",
    }
    publish_status(store, problem=ended, writer=None if beats is None else {**writer(beats), "state": "starting"})
    test = page(show, store)
    assert "The pipeline ended 10 min ago, by an error" in test.error[0].value
    assert "remove its folder" in test.error[0].value
    assert ("make run" in test.error[0].value) == (beats != 0.0)
    assert not any("alive" in text.value for text in test.markdown)


@every
def test_a_pipeline_that_is_starting_is_not_called_alive(store: ObjectStore, show: Show) -> None:
    publish_status(store, writer={**writer(), "state": "starting"})
    test = page(show, store)
    assert any("The pipeline is starting" in text.value for text in test.info)
    assert not any("alive" in text.value for text in test.markdown)


@every
def test_a_store_that_is_away_is_waited_for(tmp_path: Path, show: Show) -> None:
    store = FaultyStore(tmp_path)
    store.fault = StoreUnavailable("connection refused")
    fill(store)
    test = page(show, store)
    assert "does not answer" in test.error[0].value
    assert "connection refused" in test.error[0].value
    assert not test.dataframe
    store.fault = None
    test = healthy(test.run())
    assert not test.error
    assert test.dataframe


@every
def test_what_was_last_read_stays_while_the_store_is_away(tmp_path: Path, show: Show) -> None:
    store = FaultyStore(tmp_path)
    fill(store)
    test = page(show, store)
    store.fault = StoreUnavailable("connection refused")
    test = healthy(test.run())
    assert "Below is what was last read" in test.error[0].value
    assert test.dataframe
    assert not any("Pipeline alive" in text.value for text in test.markdown)  # nothing is known about it now


@every
def test_a_store_that_refuses_names_the_key(tmp_path: Path, show: Show) -> None:
    store = FaultyStore(tmp_path)
    store.fault = PermissionError("AccessDenied")
    assert "AWS_ACCESS_KEY_ID" in page(show, store).error[0].value


@every
def test_a_broken_object_is_named(store: ObjectStore, show: Show) -> None:
    store.put(STATUS, b"{")
    assert r"published\/status\.json" in page(show, store).error[0].value


def reject(store: ObjectStore) -> None:
    publish_status(store, **counts(rows={"rejected": 2}, files={"loaded": 1, "refused": 1}))
    counts_of_first = counted(("type", "Sold", 1), ("required", "Dept", 1))
    first = load("raw/companydata/a.csv", rows_rejected=2, problems=counts_of_first)
    publish_loads(store, [first, load("raw/orders/b.csv", status="refused", problems=counted(("header", None, 1)))])
    put_rejected(store, "raw/companydata/a.csv", [problem(3), problem(1234, "required", "Dept", "")])
    put_rejected(store, "raw/orders/b.csv", [refusal()])


def test_the_rejects_page_lists_problems_and_counts_them(store: ObjectStore) -> None:
    reject(store)
    test = page(rejects.show, store)
    by_rule, problems = (frame.value for frame in test.dataframe)
    assert by_rule["rule"].tolist() == ["type", "required", "header"]
    columns = ["dataset", "source_key", "line", "column", "rule", "value", "message", "raw"]
    assert problems.columns.tolist() == columns
    assert problems["line"].fillna(0).tolist() == [3, 1234, 0]
    assert [caption.value for caption in test.caption] == [
        "Each bar is 1 second, UTC.",
        "Counted: all 3 problems of 2 files, among the newest 2 loads. Corrected files are not counted.",
        "3 problems, the newest files first. Select a problem to see its lines.",
        "Read: 2 of 2 files with problems, and all of their 3 problems. All are under `rejected/`, as Parquet.",
    ]


def test_rejects_are_filtered(store: ObjectStore) -> None:
    reject(store)
    test = page(rejects.show, store)
    assert [widget.options for widget in test.multiselect] == [
        ["companydata", "orders"],
        ["header", "required", "type"],
        ["Dept", "Sold"],
    ]
    test = healthy(test.multiselect("reject-dataset").select("companydata").run())
    assert test.dataframe[1].value["line"].tolist() == [3, 1234]
    test = healthy(test.multiselect("reject-column").select("Dept").run())
    assert test.dataframe[1].value["rule"].tolist() == ["required"]
    assert test.dataframe[0].value["problems"].tolist() == [1]
    test = healthy(test.text_input("reject-file").set_value("b.csv").run())
    assert "matches the filters" in test.info[0].value
    assert not test.dataframe


def bars(test: AppTest) -> dict[str, list[int]]:
    chart = json.loads(test.get("echarts_chart")[0].proto.spec)
    return {one["name"]: one["data"] for one in chart["series"]}


def test_problems_over_time_follow_the_filters_and_the_choice(store: ObjectStore) -> None:
    reject(store)
    test = page(rejects.show, store)
    assert bars(test) == {"header": [1], "required": [1], "type": [1]}
    test = healthy(test.button_group("reject-by").set_value("dataset").run())
    assert bars(test) == {"companydata": [2], "orders": [1]}
    test = healthy(test.multiselect("reject-rule").select("type").run())
    assert bars(test) == {"companydata": [1]}
    test = healthy(test.button_group("reject-span").set_value("15 min").run())
    assert not test.get("echarts_chart")
    assert "No file with such a problem landed in the last 15 min" in test.info[0].value
    assert test.dataframe[0].value["problems"].tolist() == [1]


def test_loads_of_an_older_pipeline_are_shown_and_not_counted(store: ObjectStore) -> None:
    reject(store)
    whole = pq.read_table(io.BytesIO(read_bytes(store, LOADS)))
    store.put(LOADS, parquet(whole.drop_columns(["problems", "rows_mended", "mended"])))
    test = page(rejects.show, store)
    assert not test.get("echarts_chart")
    assert "Not counted: 2 files with problems, from an older version" in test.caption[0].value
    assert len(test.dataframe[0].value) == 3


def read_bytes(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as (_, stream):
        return stream.read()


def test_a_filter_stays_when_its_last_problem_is_corrected(store: ObjectStore) -> None:
    reject(store)
    test = page(rejects.show, store)
    healthy(test.multiselect("reject-rule").select("required").run())
    put_rejected(store, "raw/companydata/a.csv", [problem(3)])
    problems = counted(("type", "Sold", 1))
    publish_loads(store, [load("raw/companydata/a.csv", rows_rejected=1, etag="f", problems=problems)])
    test = healthy(test.run())
    assert test.multiselect("reject-rule").value == ["required"]
    assert "matches the filters" in test.info[0].value


def test_a_long_table_of_rejects_is_cut_and_that_is_said(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "MAX_ROWS", 2)
    reject(store)
    test = page(rejects.show, store)
    assert len(test.dataframe[1].value) == 2
    assert test.caption[2].value.endswith("The table and the download have the first 2: use the filters to see others.")


def test_a_lake_without_rejects_says_so(store: ObjectStore) -> None:
    publish_status(store)
    publish_loads(store, [load("raw/companydata/a.csv")])
    assert "Nothing was rejected." in page(rejects.show, store).success[0].value
    publish_status(store, **counts(rows={"rejected": 2}))
    assert "older files" in page(rejects.show, store).info[0].value


def test_a_rejected_object_that_is_not_ours_is_named(store: ObjectStore) -> None:
    reject(store)
    store.put(rejected_key("raw/orders/b.csv"), b"not Parquet")
    test = page(rejects.show, store)
    assert r"rejected\/orders\/b\.csv\.parquet is not shown" in test.warning[0].value
    assert len(test.dataframe[1].value) == 2


def opened(test: AppTest, row: int) -> AppTest:
    test.session_state["reject-open"] = as_row(test.dataframe[-1].value.iloc[row])  # as a click does
    return healthy(test.run())


def test_a_reject_opens_to_its_place_and_what_to_do(store: ObjectStore) -> None:
    reject(store)
    etag = store.put("raw/companydata/a.csv", b"Dept,Sold\nBooks,1\nToys & <b>x</b>,x\nGarden,3\n")
    publish_loads(store, [load("raw/companydata/a.csv", rows_rejected=2, etag=etag)])
    test = opened(page(rejects.show, store), 0)
    place = test.get("html")[0].proto.body
    assert re.findall("<mark[^>]*>(.*?)</mark>", place) == ["x"]
    assert "Toys &amp; &lt;b&gt;x&lt;/b&gt;," in place
    assert "Garden,3" in place
    assert any("What to do" in text.value for text in test.markdown)
    assert not any("changed since" in caption.value for caption in test.caption)
    store.put("raw/companydata/a.csv", b"Dept,Sold\nBooks,1\nToys,2\n")
    test = opened(page(rejects.show, store), 1)
    assert "no line 1234" in test.info[0].value
    test = healthy(test.button("reject-close").click().run())
    assert not test.get("html")


def test_a_reject_of_a_file_that_changed_or_went_says_so(store: ObjectStore) -> None:
    reject(store)
    test = opened(page(rejects.show, store), 2)
    assert "no longer there" in test.info[0].value
    store.put("raw/orders/b.csv", b"<mark>,b\n1,2\n")
    test = healthy(test.run())
    assert "&lt;mark&gt;,b</mark>" in test.get("html")[0].proto.body
    assert any("changed since" in caption.value for caption in test.caption)


CONTRACT: dict[str, Any] = {
    "name": "sales",
    "encoding": "cp1252",
    "dialect": {"delimiter": ";", "quoteChar": "'"},
    "schema": {
        "fields": [
            {"name": "amount", "header": ["Betrag", 2], "type": "integer"},
            {"name": "day", "type": "date", "format": "%d.%m.%Y"},
            {"name": "note", "header": "Betrag", "constraints": {"required": True}},
        ],
        "fieldsMatch": "equal",
    },
}
SALES = "\nBetrag;Betrag;day\n'Ä€; \"x';7;2026-01-31\nÄ€;'5';31.01.2026\n'a;b';x;31.01.2026\n;1;31.01.2026\nÄ€;1\n"


def test_advice_and_excerpt_are_those_of_the_contract_in_force(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "sales.json").write_text(json.dumps(CONTRACT))
    store.put("raw/sales/a.csv", SALES.encode("cp1252"))
    store.put("raw/stray/a.csv", b"one,two\n1,2\n")
    environ = {"LAKE_URL": store.url, "PIPELINE_STATE": str(tmp_path / "s"), "PIPELINE_WORKERS": "0"}
    environ |= {"PIPELINE_DATASETS": str(tmp_path / "contracts")}
    subprocess.run([sys.executable, "-m", "pipeline", "once"], env=os.environ | environ, cwd=ROOT, check=True)
    test = page(rejects.show, store)
    shown = test.dataframe[1].value
    marked = {}
    for number, (column, rule) in enumerate(zip(shown["column"], shown["rule"], strict=True)):
        test = opened(test, number)
        place = test.get("html")[0].proto.body
        marked[(column if isinstance(column, str) else None, rule)] = re.findall("<mark[^>]*>(.*?)</mark>", place)
        advice = next(text.value for text in test.markdown if "What to do" in text.value).partition("What to do")[2]
        assert not re.search(r"comma|UTF-8|double quote|2026", advice)
        if rule != "contract":
            assert "Ä€" in place, place
            assert r"encoding cp1252, delimiter \;, quote \'" in "".join(caption.value for caption in test.caption)
        test = healthy(test.button("reject-close").click().run())
    assert marked == {
        ("day", "type"): ["2026-01-31"],
        ("amount", "type"): ["x"],
        ("note", "required"): ["&nbsp;"],
        (None, "fields"): ["Ä€;1"],
        (None, "contract"): [],
    }


def test_what_is_shown_of_what_is_counted_is_said(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reject(store)
    monkeypatch.setattr("dashboard.shared.rejected.MAX_FILES", 1)
    test = page(rejects.show, store)
    assert "Counted: all 3 problems of 2 files" in test.caption[1].value
    shown = int(test.caption[2].value.partition(" of the 3 problems counted above")[0])
    assert shown == len(test.dataframe[1].value) < 3
    assert "The page reads 1 of 2 files with problems" in test.caption[2].value


def test_no_value_is_neither_an_empty_one_nor_a_dash(store: ObjectStore) -> None:
    reject(store)
    settings = [frame.proto.placeholder for frame in page(rejects.show, store).dataframe]
    assert settings == ["null", "null"]


def run_query(test: AppTest, sql: str) -> AppTest:
    test.text_area("query-sql").set_value(sql)
    return healthy(test.button[0].click().run())


def test_a_query_shows_its_rows_or_what_is_wrong(store: ObjectStore) -> None:
    fill(store)
    test = page(query.show, store)
    columns = test.dataframe[0].value
    assert {"rejected_companydata", "published_loads"} <= set(columns["view"])
    test = run_query(test, "SELECT status, count(*) AS files FROM published_loads GROUP BY ALL ORDER BY ALL")
    assert test.dataframe[1].value.to_dict("list") == {"status": ["loaded", "refused"], "files": [1, 1]}
    assert len(test.get("echarts_chart")) == 1
    assert test.caption[-1].value.startswith("2 rows, in ")
    test = run_query(test, "SELECT 'a' AS letter, 1 AS one")  # what was chosen for the chart is not there now
    assert test.multiselect[0].value == ["letter"]
    assert len(test.get("echarts_chart")) == 1
    test = run_query(test, "SELECT nothing FROM published_loads")
    assert "LINE 1: SELECT nothing" in test.code[0].value
    assert len(test.dataframe) == 1
    assert "found no rows" in run_query(test, "FROM published_loads WHERE false").info[0].value
    assert "needs a column of numbers" in run_query(test, "SELECT 'x' AS x").info[0].value


def test_what_is_drawn_of_a_result_can_be_chosen(store: ObjectStore) -> None:
    fill(store)
    test = run_query(
        page(query.show, store), "SELECT 2026 AS year, x AS month, x * 1.50 AS n, -x AS m FROM range(1, 4) t(x)"
    )
    x, y = test.multiselect
    assert (x.value, y.value) == (["year", "month"], ["n", "m"])

    def drawn(test: AppTest) -> tuple[list[str], dict[str, list[float]]]:
        chart = json.loads(test.get("echarts_chart")[0].proto.spec)
        return chart["xAxis"][0]["data"], {one["name"]: one["data"] for one in chart["series"]}

    assert drawn(test) == (["2026 · 1", "2026 · 2", "2026 · 3"], {"n": [1.5, 3.0, 4.5], "m": [-1, -2, -3]})
    x.set_value([])
    y.set_value(["month"])
    assert drawn(healthy(test.run())) == (["1", "2", "3"], {"month": [1, 2, 3]})
    assert test.dataframe[1].value["n"].tolist() == ["1.50", "3.00", "4.50"]


EXTREMES = [
    "SELECT * FROM test_all_types()",
    "SELECT DATE '294247-01-01' AS d",
    "SELECT DATE 'infinity' AS d",
    "SELECT 'inf'::DOUBLE AS x, 'nan'::DOUBLE AS y, 1 AS n",
    'SELECT 1 AS "a (3)", 2 AS a, 3 AS a',
    'SELECT 1 AS "index", 2 AS "_index", 3 AS "level_0"',
    "SELECT 170141183460469231731687303715884105727::HUGEINT AS h, 18446744073709551615::UBIGINT AS u",
    "SELECT 0.0000001::DECIMAL(38, 37) AS d, 1e300 AS e, -0.0 AS z",
    "SELECT TIMESTAMPTZ '9999-12-31T23:59:59Z' AS t, count(*) AS n",
]


def test_a_version_that_there_is_not_runs_no_query(store: ObjectStore) -> None:
    fill(store)
    test = page(query.show, store)
    test = healthy(test.segmented_control("query-as-of").set_value("a version").run())
    assert "There is no version to read" in test.info[0].value
    assert len(run_query(test, "SELECT 1").dataframe) == 1, "the columns alone"


def test_whatever_comes_of_a_query_is_shown(store: ObjectStore) -> None:
    fill(store)
    test = page(query.show, store)
    for sql in EXTREMES:
        test = run_query(test, sql)
        assert len(test.dataframe) == 2, sql
        assert not test.error, sql


def test_a_view_of_files_that_do_not_fit_together_says_so(store: ObjectStore) -> None:
    fill(store)
    for name, cells in (("z", [True]), ("a", [5])):
        store.put(f"clean/companydata/{name}.csv.parquet", parquet(pa.table({"c": cells})))
        time.sleep(0.05)
    test = page(query.show, store)
    assert "1 file of companydata was loaded under an older contract" in test.warning[0].value
    assert "published_loads" in set(test.dataframe[0].value["view"])


def test_stray_folders_cost_the_query_page_nothing(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    stray = {f"stray{number}": counts() for number in range(600)}
    refused = {f"refused{number}": counts(files={"refused": 1}) for number in range(600)}
    parts = counts(files={"loaded": 1})
    publish_status(store, datasets={**stray, **refused, "companydata": parts}, **parts)
    listed: list[str] = []
    real = store.dataset

    def counting(prefix: str, limit: int | None = None) -> ObjectDataset:
        listed.append(prefix)
        return real(prefix, limit)

    monkeypatch.setattr(store, "dataset", counting)
    page(query.show, store)
    assert len(listed) < 70
    assert "clean/companydata/" in listed


def test_an_example_is_put_into_the_editor(store: ObjectStore) -> None:
    fill(store)
    test = page(query.show, store)
    test = healthy(test.selectbox("query-example").select("The slowest loads").run())
    assert "published_loads" in test.text_area("query-sql").value
    assert "companydata/a.csv" in healthy(test.button[0].click().run()).dataframe[1].value["source_key"][0]


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


def test_a_query_page_drawn_in_the_moment_when_the_store_is_back_goes_on(tmp_path: Path) -> None:
    """The store answers every look but the first, whose error is drawn."""

    class Flickering(LocalStore):
        looks = 0

        def stat(self, key: str) -> ObjectInfo:
            if key == STATUS:
                self.looks += 1
                if self.looks == 1:
                    raise StoreUnavailable("connection reset")
            return super().stat(key)

    test = page(query.show, Flickering(tmp_path))
    assert not test.error
    assert "Nothing is published yet" in test.info[0].value
