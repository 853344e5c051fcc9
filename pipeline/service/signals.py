"""Stop the pipeline on Ctrl-C, SIGTERM or SIGHUP; a second signal ends the program at once."""

import os
import signal
import socket
import time
from threading import Thread

from pipeline.service.context import Pipeline
from pipeline.service.workers import STOP_SECONDS

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RELEASE_SECONDS = 0.2  # that the ledger has to release the running loads: it needs milliseconds, unless the disk hangs


def stop_on_signals(pipeline: Pipeline) -> None:
    """Set `pipeline.stop` at a signal; end the program at the second one, or after 22 s if the store does not answer.

    A thread of its own waits for the signals: the main thread may be inside a call that a silent store does not answer.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    for number in ENDING:
        signal.signal(number, lambda *_: None)  # without a handler the system ends the program
    signal.set_wakeup_fd(writer.detach())
    Thread(target=_listen, args=(pipeline, reader), name="signals", daemon=True).start()


def _listen(pipeline: Pipeline, reader: socket.socket) -> None:
    _next(reader)
    Thread(target=_stop_in_time, args=(pipeline,), daemon=True).start()
    number = _next(reader)
    Thread(target=pipeline.ledger.release_all, daemon=True).start()  # so that this end counts against no file
    time.sleep(RELEASE_SECONDS)
    os._exit(128 + number)  # no load needs to be finished: the next start loads it again


def _next(reader: socket.socket) -> int:
    """Wait for one of the signals and return its number; Python writes the number of each that has a handler."""
    while (number := reader.recv(1)[0]) not in ENDING:
        pass
    return number


def _stop_in_time(pipeline: Pipeline) -> None:
    """Set `stop`, and end the program where a thread still waits for a silent store after the time for it."""
    pipeline.stop.set()
    time.sleep(STOP_SECONDS + 2)  # an ordinary end releases the running loads a little earlier
    pipeline.ledger.release_all()
    os._exit(0)
