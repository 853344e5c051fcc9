"""The workers take files from the ledger when they can be loaded, and not before."""

from contextlib import closing

from pipeline.ledger.ledger import Ledger
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
from pipeline.service.workers import Workers
from tests.support.versions import version


class _SlowToStart(InlineExecutor):
    """Executor that notes what is in flight while it becomes ready."""

    ledger: Ledger
    in_flight: list[int]

    def wait_until_ready(self) -> None:
        self.in_flight = [row[0] for row in self.ledger.rows("SELECT in_flight FROM source")]


def test_no_file_is_in_flight_while_the_executor_starts(loads, tmp_path):
    """Kills in that time count against every file in flight, and three such kills would make it failed."""
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.notice(version("1", "raw/numbers/a.csv"), "event")
        executor = _SlowToStart(loads.store, {}, loads.staging)
        executor.ledger = ledger
        with Workers(Pipeline(loads.store, ledger, {}, loads.staging, executor, workers=0)) as workers:
            assert workers.start_next(0) == "started"
        assert executor.in_flight == [0]
