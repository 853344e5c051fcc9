"""Worker process: it answers each batch that comes through its pipe, and ends with the pipeline."""

import faulthandler
import fcntl
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from common.logs import configure_logging
from pipeline.service.allocators import set_allocators
from pipeline.service.executor import BatchSettings, LoadFailed, Outcomes, TaskBatch, opened, portable
from pipeline.service.state_folder import share_lock

_F_SETSIG = getattr(fcntl, "F_SETSIG", 10)


def serve(
    pipe: Connection,
    start: Callable[[BatchSettings], None],
    load: Callable[[BatchSettings, TaskBatch], Outcomes],
    settings: BatchSettings,
) -> None:
    """Load the batches that come through the pipe: the main function of a worker process."""
    start(settings)
    pipe.send("ready")
    # Not in the main thread: there the store's client checks for signals at every call.
    answering = Thread(target=_answer, args=(pipe, load, settings))
    answering.start()
    answering.join()
    os._exit(0)


def _answer(pipe: Connection, load: Callable[[BatchSettings, TaskBatch], Outcomes], settings: BatchSettings) -> None:
    while True:
        batch = pipe.recv()
        try:
            outcomes = load(settings, batch)
        except Exception as error:
            outcomes = [portable(error)] * len(batch)
        try:
            pipe.send(outcomes)
        except (TypeError, AttributeError, ValueError) as error:  # of pickle, which has sent nothing yet
            pipe.send([LoadFailed(f"the outcome cannot be sent: {error!r}")] * len(batch))


def start_process(settings: BatchSettings) -> None:
    """Prepare a worker process for its batches."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are for the pipeline, which ends its workers
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    be_first_to_go()
    share_lock(settings.staging.parent)
    end_with_parent()
    configure_logging()
    set_allocators()
    opened(settings)
    gc.freeze()  # all of it stays: a search through it for garbage would hold up every load


def be_first_to_go() -> None:
    """Have the kernel end this process, and not the program that would report its end, where memory runs out."""
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text("500")


def end_with_parent() -> None:
    """Have the kernel kill this process when the pipeline ends, be it by kill -9, and even if this one is stopped.

    The pipeline alone holds the other end of the sentinel's pipe. When that is closed, the kernel signals who waits for
    news of this end; the signal is SIGKILL here. Elsewhere than on Linux a thread waits for it.
    """
    parent = multiprocessing.parent_process()
    assert parent
    if sys.platform == "linux":
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, _F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    else:
        Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    if not parent.is_alive():
        os._exit(1)
