from datetime import UTC, datetime

import pytest

from common.errors import SettingError
from common.settings import read_settings
from lake.layout import LOADS
from simulator.datasets import companydata
from simulator.load_status import WAITING, LoadStatus
from simulator.settings import Settings
from simulator.system import COMPANYDATA_KEY
from tests.support.minio_server import until


def stored(store) -> bytes:
    with store.inner.open(COMPANYDATA_KEY) as (_, stream):
        return stream.read()


def test_the_first_companydata_is_put_once(store, make_system) -> None:
    first = make_system()
    first.start()
    until(lambda: first.companydata)
    before = store.inner.stat(COMPANYDATA_KEY)
    second = make_system()
    second.start()
    second._first.join(5)
    assert second.companydata is None
    assert store.inner.stat(COMPANYDATA_KEY) == before


def test_the_first_companydata_waits_for_the_store(store, make_system) -> None:
    store.away()
    system = make_system()
    system.start()
    until(lambda: store.refused >= 2)
    assert system.backoff.error
    store.back()
    until(lambda: system.companydata)
    assert stored(store) == system.companydata.data
    until(lambda: not system.backoff.error)


def test_a_fixed_seed_gives_a_fixed_sequence(store, make_system) -> None:
    system = make_system(SIMULATOR_SEED="40")
    for seed in (40, 41, 42):
        system.regenerate()
        assert stored(store) == companydata(seed)


def test_a_press_that_failed_takes_no_seed(store, make_system) -> None:
    system = make_system(SIMULATOR_SEED="40")
    store.away()
    with pytest.raises(OSError, match="connection refused"):
        system.regenerate()
    assert system.companydata is None
    store.back()
    system.regenerate()
    assert stored(store) == companydata(40)


def test_without_a_seed_a_restart_writes_new_bytes(store, make_system) -> None:
    written = set()
    for _ in range(2):
        make_system(SIMULATOR_SEED="").regenerate()
        written.add(stored(store))
    assert len(written) == 2


def test_settings_have_defaults() -> None:
    assert read_settings(Settings, {"FEED": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FEED", "maybe"),
        ("FEED_FILES_PER_SECOND", "0"),
        ("FEED_FILES_PER_SECOND", "nan"),
        ("FEED_FILES_PER_SECOND", "fast"),
        ("FEED_ROWS", "0"),
        ("FEED_ROWS", "1.5"),
        ("SIMULATOR_SEED", "-1"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is '{value}': expected "):
        read_settings(Settings, {name: value})


def test_what_is_published_and_unreadable_tells_nothing(store) -> None:
    store.inner.put(LOADS, b"nonsense")
    load_status = LoadStatus(store)
    load_status.refresh()
    assert load_status.of("raw/orders/a.csv", "an etag", datetime.now(UTC)) == WAITING
