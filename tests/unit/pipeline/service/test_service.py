"""Time of the first listing."""

from contextlib import closing

import pytest

from pipeline.ledger.ledger import Ledger
from pipeline.service import service
from pipeline.service.context import Pipeline
from pipeline.service.executor import InlineExecutor
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
