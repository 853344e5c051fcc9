"""Signals that end a member of a cluster in order."""

import asyncio
import signal

from pipeline.service.signals import ENDING


def until_signal() -> "asyncio.Future[None]":
    """Return what is done at the first Ctrl-C, SIGTERM or SIGHUP; a second one ends the program as it would."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        for number in ENDING:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stopped.set_result(None)

    for number in ENDING:
        loop.add_signal_handler(number, stop)
    return stopped
