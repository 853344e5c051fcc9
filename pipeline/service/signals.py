"""How the pipeline is asked to end: Ctrl-C, SIGTERM, SIGHUP; who asks twice is not kept waiting."""

import os
import signal
import socket
import time
from threading import Thread

from pipeline.service.context import Pipeline
from pipeline.service.workers import STOP_SECONDS

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DROP_SECONDS = 0.2  # that a second one waits, for what needs some milliseconds unless the disk stands still


def stop_on_signals(pipeline: Pipeline) -> None:
    """Let a signal set `pipeline.stop`; a second one ends the program at once, and so does a store that holds it up.

    A thread of its own hears of them: the main one may be inside a call that a silent store does not answer.
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
    Thread(target=pipeline.ledger.release_all, daemon=True).start()  # that is no death of the files in flight
    time.sleep(DROP_SECONDS)
    os._exit(128 + number)  # asked twice: everything is safe to drop


def _next(reader: socket.socket) -> int:
    """Wait for one of the signals; Python writes the number of each that it has a handler for."""
    while (number := reader.recv(1)[0]) not in ENDING:
        pass
    return number


def _stop_in_time(pipeline: Pipeline) -> None:
    """Ask for the end, and end by force where a silent store still holds somebody up after the time for it."""
    pipeline.stop.set()
    time.sleep(STOP_SECONDS + 2)  # the ordinary end drops what is in flight a little before
    pipeline.ledger.release_all()
    os._exit(0)
