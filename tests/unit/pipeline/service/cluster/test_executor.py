"""The executor of a cluster while its connection ends, with a scheduler in this process."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from distributed import Client, LocalCluster, Security

from lake.stores.local import LocalStore
from pipeline.service.cluster.executor import DaskExecutor, _Sent
from pipeline.service.executor import InlineExecutor


@pytest.fixture
def clients() -> Iterator[tuple[Client, Client]]:
    """Connect two clients to a scheduler that has no workers, so what they send waits."""
    with ExitStack() as stack:
        cluster = stack.enter_context(
            LocalCluster(n_workers=0, processes=False, host="127.0.0.1", protocol="tcp://", dashboard_address=None)
        )
        one, other = (stack.enter_context(Client(cluster.scheduler_address, set_as_default=False)) for _ in range(2))
        yield one, other


def test_a_client_that_is_closed_meanwhile_keeps_no_other_batch_from_its_return(clients, tmp_path) -> None:
    """The link closes its client at that moment: the batches of the next one return to the ledger all the same."""
    closed, present = clients
    store = LocalStore(tmp_path)
    executor = DaskExecutor("tcp://127.0.0.1:1", Security(), store, {}, InlineExecutor(store, {}, tmp_path))
    for number, client in enumerate((closed, present)):
        future = client.submit(int, key=f"load-{number}")
        executor._batches[str(number)] = _Sent([], datetime.now(UTC), future=future)
    closed.close()
    with pytest.raises(RuntimeError):
        executor._batches["0"].future.cancel()  # as Dask is now
    executor.renew([], {})
    assert executor._batches["1"].future.cancelled()
    executor.return_waiting()
    executor.close()
