"""Call code of a user.

This is a file of its own because .vscode/launch.json excludes it from the user's code: an exception that leaves a
transform and arrives here is unhandled by the user's code, so a debugger can stop where it was raised, although the
pipeline handles it.
"""

import os
import signal
from collections.abc import Callable
from threading import Event, current_thread, local, main_thread
from types import FrameType
from typing import NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def call_user_code(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a user; an attempt to end the program is an error of the function, except a real Ctrl-C.

    Raises:
        RuntimeError: it raised `SystemExit`, or another `BaseException`, or called `os._exit`.
    """
    interrupted = Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    handler = signal.getsignal(signal.SIGINT)
    if direct := handler is signal.default_int_handler and current_thread() is main_thread():
        signal.signal(signal.SIGINT, interrupt)
    _calls.process = os.getpid()
    try:
        return function(*args, **kwargs)
    except Exception:
        raise
    except BaseException as error:
        if interrupted.is_set():
            raise
        raise RuntimeError(f"it raised {error!r}, which would end the program") from error
    finally:
        _calls.process = None
        if direct:
            signal.signal(signal.SIGINT, handler)


_calls = local()  # `process`: in which this thread is in a user's code now; a fork of it may leave as it likes
_leave = os._exit


def _exit(status: int) -> NoReturn:
    if getattr(_calls, "process", None) == os.getpid():
        raise SystemExit(f"os._exit({status})")
    _leave(status)


os._exit = _exit  # the one way to end a program that nobody would hear of
