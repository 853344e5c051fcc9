from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

import simulator.system
from tests.support.minio_server import until
from tests.support.project import ROOT
from tests.support.publish import load, publish_loads

PAGE = ROOT / "simulator" / "page.py"


@pytest.fixture
def system(make_system, monkeypatch):
    made = make_system()
    monkeypatch.setattr(simulator.system, "running", made)
    return made


def open_page() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=20).run()
    assert not at.exception
    return at


def test_what_became_of_a_file_is_no_markup(system, store) -> None:
    at = open_page()
    at.button(key="regenerate").click().run()
    key, etag = simulator.system.COMPANYDATA_KEY, system.companydata.etag
    reason = "it lacks 'Paid ($) of due ($)', :red[x] and a_b*c*"
    publish_loads(store, [load(key, etag=etag, status="refused", first_problem=reason)])
    at.run()
    shown = next(caption.value for caption in at.caption if "refused" in caption.value)
    assert shown.endswith(r"it lacks 'Paid (\$) of due (\$)', \:red\[x\] and a\_b\*c\*")


@pytest.mark.usefixtures("system")
def test_the_button_writes_and_the_table_shows_it(store) -> None:
    at = open_page()
    assert not at.table
    at.button(key="regenerate").click().run()
    assert not at.exception
    shown = at.table[0].value
    with store.inner.open(simulator.system.COMPANYDATA_KEY) as (_, stream):
        lines = stream.read().decode().splitlines()
    assert [",".join(map(str, row)) for row in shown.itertuples(index=False)] == lines[1:]
    assert len(shown) == 24


@pytest.mark.usefixtures("system")
def test_each_press_writes_other_rows() -> None:
    at = open_page()
    at.button(key="regenerate").click().run()
    first = at.table[0].value
    at.button(key="regenerate").click().run()
    assert not at.table[0].value.equals(first)


@pytest.mark.usefixtures("system")
def test_a_store_that_is_away_is_told_and_forgotten(store) -> None:
    at = open_page()
    store.away()
    at.button(key="regenerate").click().run()
    assert not at.exception
    assert "connection refused" in at.error[0].value
    assert "press again" in at.error[0].value
    store.back()
    at.button(key="regenerate").click().run()
    assert not at.error
    assert len(at.table[0].value) == 24


@pytest.mark.usefixtures("system")
def test_a_store_that_refuses_is_told(store) -> None:
    at = open_page()
    store.error = PermissionError("AccessDenied for this user")
    at.button(key="regenerate").click().run()
    assert not at.exception
    assert "AccessDenied for this user" in at.error[0].value


def test_the_feeds_switch_and_pace(system) -> None:
    system.start()
    at = open_page()
    assert at.toggle(key="feed_on").value is False
    at.number_input(key="rows_per_file").set_value(5).run()
    at.number_input(key="files_per_second").set_value(20.0).run()
    at.toggle(key="feed_on").set_value(True).run()
    until(lambda: system.feed.state.files_written >= 2)
    at.toggle(key="feed_on").set_value(False).run()
    at.run()
    assert not at.exception
    newest = at.dataframe[0].value
    assert list(newest["Key"]) == [file.key for file in system.feed.state.newest]
    assert set(newest["Rows"]) == {5}


def test_bad_rows_are_written_as_told(store, system) -> None:
    system.start()
    at = open_page()
    assert at.multiselect(key="faults").disabled
    at.number_input(key="fault_percent").set_value(100).run()
    at.multiselect(key="faults").select("hexadecimal").run()
    at.toggle(key="feed_on").set_value(True).run()
    until(lambda: system.feed.state.files_written)
    assert not at.exception
    with store.inner.open(system.feed.state.newest[0].key) as (_, stream):
        assert all(b"0x1F" in line for line in stream.read().splitlines()[1:])


def test_what_became_of_each_file_is_shown(store, system) -> None:
    at = open_page()
    at.button(key="regenerate").click().run()
    assert at.caption[1].value.endswith(": waiting")
    version = {"source_key": simulator.system.COMPANYDATA_KEY, "etag": system.companydata.etag}
    publish_loads(store.inner, [load(**version, rows_rejected=3)])
    assert at.run().caption[1].value.endswith(": loaded in 11 ms, 3 rejected")
    publish_loads(store.inner, [load(**version, status="refused", first_problem="no header")])
    store.away()
    assert at.run().caption[1].value.endswith("3 rejected")  # what was last known
    store.back()
    assert at.run().caption[1].value.endswith(": refused: no header")
    at.button(key="regenerate").click().run()
    assert at.caption[1].value.endswith(": waiting")  # that was the version before
    later = system.companydata.written_at + timedelta(seconds=1)
    publish_loads(store.inner, [load(simulator.system.COMPANYDATA_KEY, etag="another's", landed_at=later)])
    assert at.run().caption[1].value.endswith(": replaced by another version since")


def test_two_visitors_share_one_feed(system) -> None:
    one, two = open_page(), open_page()
    one.number_input(key="rows_per_file").set_value(50).run()
    one.toggle(key="feed_on").set_value(True).run()
    two.run()
    assert two.toggle(key="feed_on").value is True
    assert two.number_input(key="rows_per_file").value == 50
    two.toggle(key="feed_on").set_value(False).run()
    one.run()
    assert one.toggle(key="feed_on").value is False
    assert system.feed.state.on is False


def test_a_feed_that_waits_is_told(store, system) -> None:
    store.away()
    system.feed.change(on=True, files_per_second=1.0, rows=3)
    system.start()
    until(lambda: system.backoff.error)
    at = open_page()
    assert "connection refused" in at.warning[0].value
    assert "loses nothing" in at.warning[0].value


def test_a_page_alone_says_how_to_start(monkeypatch) -> None:
    monkeypatch.setattr(simulator.system, "running", None)
    at = open_page()
    assert "python -m simulator run" in at.error[0].value
