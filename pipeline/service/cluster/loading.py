"""The task of a worker: it loads a batch in a process of its own, as a pipeline does, and replies with outcomes.

The reply is an event of Dask, as is the beginning. The result of a task stays on its worker until it is fetched, which
takes as many messages again, and Dask would run a task anew whose result is lost with its worker.

A load that hangs, ends its process or takes all memory costs that process, and the worker replies how it ended. The end
of the worker itself is reported by the scheduler.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from pipeline.service.executor import BatchLost, Loads, TaskBatch
from pipeline.service.processes import ProcessExecutor

STARTED = "lakelet-started"  # the topic of Dask's events that tell which worker has begun which batch
ENDED = "lakelet-ended"  # the topic of those with its reply


@dataclass(frozen=True)
class Reply:
    """Answer of a worker to a batch: its outcomes and its time, or how the process that loaded it was `lost`."""

    loads: Loads
    lost: str = ""


class Loading(WorkerPlugin):
    """The executor of one worker, from its registration to its end."""

    name = "lakelet"

    def __init__(self, make: Callable[[], ProcessExecutor]) -> None:
        self._make = make
        self.executor: ProcessExecutor

    def setup(self, worker: Worker) -> None:  # noqa: ARG002
        """Start the processes."""
        self.executor = self._make()

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """End the processes, whatever they do: nobody takes their outcomes any more."""
        self.executor.close()


def load_on_worker(number: str, batch: TaskBatch) -> None:
    """Load a batch on the worker that runs this; announce first that it has begun, and at the end the reply."""
    worker: Any = get_worker()
    name = str(worker.name)
    worker.log_event(STARTED, {"batch": number, "name": name})  # "worker" would become the address
    try:
        reply = Reply(replace(worker.plugins[Loading.name].executor.load(batch), worker=name))
    except BatchLost as loss:
        reply = Reply(Loads([], name), str(loss))
    worker.log_event(ENDED, {"batch": number, "reply": pickle.dumps(reply)})
