"""Bad days of the stack: frozen, killed, without its store. It goes on without a hand, and nothing is lost."""

import csv
import io
import math
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import pyarrow.parquet as pq
import pytest

from lake.layout import LOADS, summary_key
from lake.stores.base import ObjectStore
from tests.support.compose import OURS, PROGRAMS, Stack
from tests.support.lake import company_csv
from tests.support.minio_server import until
from tests.support.truth import company_sums

OUTAGE = 60.0  # seconds without a store
WELL, UNWELL = "healthy", "unhealthy"

pytestmark = [pytest.mark.needs_engine, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def feeding() -> Iterator[Stack]:
    """Stack to break, with a feed that runs."""
    made = Stack.new(FEED_FILES_PER_SECOND="5")
    try:
        made.up()
        yield made
    finally:
        made.remove()


def wait_well(stack: Stack) -> None:
    until(lambda: stack.healths() == dict.fromkeys(PROGRAMS, WELL), 60, "every program's health")


def lines(stack: Stack, service: str, words: str) -> list[str]:
    return [line for line in stack.logs(service, tail="all").splitlines() if words in line]


def read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as (_, stream):
        return stream.read()


def rows(store: ObjectStore, key: str) -> list[dict]:
    return pq.read_table(io.BytesIO(read(store, key))).to_pylist()


def order_sums(files: list[bytes]) -> dict[str, tuple[int, int, float]]:
    """Compute the true summary from the raw bytes alone: rows, quantity, total by country."""
    sums: dict[str, list] = defaultdict(lambda: [0, 0, Fraction(0)])
    for content in files:
        for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
            added = (1, int(row["quantity"]), Fraction(row["total"]))
            sums[row["country"]] = [one + other for one, other in zip(sums[row["country"]], added, strict=True)]
    return {country: (count, quantity, float(total)) for country, (count, quantity, total) in sums.items()}


def all_loaded(store: ObjectStore) -> bool:
    """Return whether each raw object, as it is listed now, has its result."""
    results = {row["source_key"]: (row["status"], row["etag"]) for row in rows(store, LOADS)}
    return results == {item.key: ("loaded", item.etag) for item in store.list("raw/")}


def check_nothing_is_lost(stack: Stack) -> None:
    """Hold the feed for a moment, and compare what is published with what is there."""
    stack.compose("stop", "simulator")
    store = stack.store()
    until(lambda: all_loaded(store), 60, "the result of every raw object")
    raw = {name: [read(store, one.key) for one in store.list(f"raw/{name}/")] for name in ("orders", "companydata")}
    assert len(raw["orders"]) > 10
    orders, true = rows(store, summary_key("orders")), order_sums(raw["orders"])
    assert {row["country"]: (row["rows"], row["quantity"]) for row in orders} == {
        country: (count, quantity) for country, (count, quantity, _) in true.items()
    }
    assert all(math.isclose(row["total"], true[row["country"]][2], rel_tol=1e-9) for row in orders)
    company = rows(store, summary_key("companydata"))
    assert {row["Dept"]: [row["rows"], row["Sold"], row["Returned"], row["Ordered"]] for row in company} == (
        company_sums(raw["companydata"])
    )
    stack.compose("start", "simulator")
    wait_well(stack)


def test_what_is_frozen_becomes_unhealthy_until_it_goes_on(feeding: Stack) -> None:
    for service in OURS:
        feeding.signal(service, signal.SIGSTOP)
    frozen = dict.fromkeys(OURS, UNWELL) | {"minio": WELL}
    until(lambda: feeding.healths() == frozen, 90, "the end of every frozen program's health")
    for service in OURS:
        feeding.signal(service, signal.SIGCONT)
    wait_well(feeding)
    assert [feeding.restarts(service) for service in OURS] == [0, 0, 0]


def test_what_is_killed_is_started_again_and_loses_nothing(feeding: Stack) -> None:
    for number in range(60):
        feeding.store().put(f"raw/companydata/burst/{number}.csv", company_csv(number))
    for service in OURS:
        feeding.signal(service, signal.SIGKILL)
    until(lambda: [feeding.restarts(service) for service in OURS] == [1, 1, 1], 60, "one restart of each")
    wait_well(feeding)
    assert len(lines(feeding, "pipeline", "unclean end")) == 1
    assert len(lines(feeding, "simulator", "feed on")) >= 2
    check_nothing_is_lost(feeding)


def test_a_minute_without_the_store_is_told_once_and_loses_nothing(feeding: Stack) -> None:
    feeding.compose("stop", "minio")
    began = time.monotonic()
    # The pages can do nothing for a visitor then; the pipeline waits, which is its work.
    without = {"simulator": UNWELL, "dashboard": UNWELL, "pipeline": WELL}
    until(lambda: feeding.healths() == without, OUTAGE, "the pages' word that the store is away")
    time.sleep(max(0.0, began + OUTAGE - time.monotonic()))
    assert feeding.healths() == without

    feeding.compose("start", "minio")
    wait_well(feeding)
    for service in ("simulator", "pipeline"):
        until(lambda: lines(feeding, service, "store back"), 30, f"the {service}'s word that the store is back")  # noqa: B023
        told = [len(lines(feeding, service, words)) for words in ("store away", "store back", "Traceback")]
        assert told == [1, 1, 0], service
    assert lines(feeding, "dashboard", "Traceback") == []
    check_nothing_is_lost(feeding)
    assert max(row["attempts"] for row in rows(feeding.store(), LOADS)) == 1  # the outage is no file's fault
