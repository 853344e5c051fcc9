"""Time of the first listing, and the publication of what the executor does."""

from contextlib import closing
from threading import Event, Thread

import pytest

from lake.status import Executor
from pipeline.ledger.ledger import Ledger
from pipeline.service import service
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.lease import acquire_lease, read_status
from tests.support.minio_server import until
from tests.support.versions import version


@pytest.mark.parametrize(("known", "expected"), [(2, service.SHORT_GAP_SECONDS), (3, service.FIRST_GAP_SECONDS)])
def test_few_files_are_listed_before_the_watch_listens(loads, tmp_path, monkeypatch, known, expected):
    """Many are not: they would be listed twice, for minutes."""
    pauses: list[float] = []

    monkeypatch.setattr(service, "FEW", 2)
    monkeypatch.setattr(service, "_wait_any", lambda *given: pauses.append(given[-1]) or True)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        for number in range(known):
            ledger.notice(version("1", f"raw/numbers/{number}.csv"), "event")
        executor = InlineExecutor(loads.store, {}, loads.staging)
        service.sweep_by_the_clock(Pipeline(loads.store, ledger, {}, loads.staging, executor))
    assert pauses == [expected]


class _Described(InlineExecutor):
    """Executor whose description the test sets."""

    description = Executor(kind="main thread")

    def describe(self) -> Executor:
        return self.description


def test_a_status_is_published_when_the_executor_describes_itself_in_another_way(loads, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "HEARTBEAT_SECONDS", 3600.0)
    executor = _Described(loads.store, {}, loads.staging)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        acquire_lease(loads.store, ledger, Event())
        pipeline = Pipeline(loads.store, ledger, {}, loads.staging, executor)
        thread = Thread(target=service.publish_changes, args=(pipeline,))
        thread.start()
        try:
            for kind in ("cluster", "processes"):
                executor.description = Executor(kind=kind)
                until(lambda: read_status(loads.store).executor == executor.description)
        finally:
            pipeline.stop.set()
            thread.join(30)
    assert not thread.is_alive()
