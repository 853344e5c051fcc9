"""The command line of every program: run it, and turn what a person got wrong into one line and an exit code."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from common.errors import NO_ROOM, SettingError, StoreFull
from common.logs import printable

_UsageError: Any = typer.BadParameter.__base__  # what Typer raises for every wrong option; it exports only this child


def run(app: typer.Typer, *at_exit: Callable[[], None]) -> NoReturn:
    """Run a command line and end the process with its exit code; what a person got wrong is one line and 2.

    The functions `at_exit` are called last; those that `atexit` knows are not.
    """
    code = _exit_code(app)
    for call in (*at_exit, logging.shutdown, sys.stdout.flush, sys.stderr.flush):
        call()
    # Arrow's threads sometimes abort the interpreter's own exit, and then the exit code would be theirs.
    os._exit(code if isinstance(code, int) else 1 if code else 0)


def _exit_code(app: typer.Typer) -> object:
    code: object = 0
    try:
        code = app(standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except typer.Abort:
        code = 130
    except _UsageError as error:
        if message := usage_message(error):  # it is empty where no command was named: then the help was shown
            _print_error(message)
        code = 2
    except (SettingError, PermissionError) as error:
        _print_error(str(error))
        code = 2
    except ConnectionError as error:
        _print_error(str(error) if isinstance(error, StoreFull) else f"the store does not answer: {error}")
        code = 1
    except OSError as error:
        if error.errno not in NO_ROOM:
            traceback.print_exc()
        else:
            _print_error(f"{error}: make room for PIPELINE_STATE and for temporary files (TMPDIR)")
        code = 2 if error.errno in NO_ROOM else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    return code


_KINDS = {int: "a whole number", float: "a number", bool: "on or off"}


def usage_message(error: Any) -> str:
    """Return what is wrong with an option: the variable, what it is and what it takes, in no library's words."""
    if type(error) is not typer.BadParameter or error.param is None:
        return str(error.format_message())
    param, wrong = error.param, getattr(error.__cause__, "errors", None)
    name = param.envvar or param.opts[-1]
    kind = _KINDS.get(param.type_descriptor.annotation)
    if choices := param.type_descriptor.choices:
        kind = "one of " + ", ".join(map(repr, choices))
    if wrong is None or kind is None:
        return f"{name}: {error.message.removeprefix('Value error, ')}"
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    bounds = "" if low is None else f" of at least {low:,}" if high is None else f" from {low:,} to {high:,}"
    return f"{name} is {wrong()[0]['input']!r}: expected {kind}{bounds}"


def _print_error(message: str) -> None:
    print(f"error: {printable(' '.join(message.splitlines()))}", file=sys.stderr)
