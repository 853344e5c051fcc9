"""The state folder: its lock, and the reason that a pipeline which ends by an error leaves there and on the pages."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import typer
from filelock import FileLock, Timeout

from common.errors import SettingError
from lake.layout import STATUS
from lake.status import Problem
from lake.stores.base import ObjectStore
from pipeline.ledger.last_error import REASON
from pipeline.ledger.ledger import Ledger
from pipeline.service.lease import is_alive, read_status

REASON_LENGTH = 2000  # characters of an error that are left for the pages
LEAVE_SECONDS = 3.0  # for a store that does not answer, when the program ends
WORKERS = "workers.lock"  # in the state folder: the worker processes share it
LOCK_SECONDS = 1.0  # a pipeline that was killed, and its worker processes, have released their locks by then


@contextmanager
def lock_state_folder(path: Path) -> Iterator[str]:
    """Acquire the lock of the state folder; `SettingError` names the process that has it, or why it is not writable.

    Yields:
        The process ID of the last holder if it was killed, otherwise an empty string. The lock file stores this, and
        not the ledger, because a full disk still allows truncating a file.
    """
    file = path / "lock"
    lock = FileLock(file, timeout=LOCK_SECONDS, fallback_to_soft=False)
    try:
        (path / "staging").mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
        with FileLock(path / WORKERS, timeout=LOCK_SECONDS, fallback_to_soft=False):
            pass  # the worker processes of a pipeline that was killed have ended
        before = file.read_text().strip()
        file.write_text(str(os.getpid()))
    except Timeout:
        lock.release()
        raise SettingError(
            f"PIPELINE_STATE: another pipeline (process {file.read_text().strip()}) works with {path}: "
            "stop it, or choose another folder"
        ) from None
    except OSError as error:
        raise SettingError(f"PIPELINE_STATE: the folder {path} cannot be written: {error.strerror}") from error
    with held:
        try:
            yield before
        except Exception as error:
            if isinstance(error, SettingError | OSError | typer.Exit):  # others may be a fault of the file in flight
                _empty(file)
            raise
        _empty(file)


def share_lock(path: Path) -> None:
    """Keep the state folder locked until this worker process has ended, even if the pipeline ends before it."""
    fcntl.flock(os.open(path / WORKERS, os.O_RDWR | os.O_CREAT), fcntl.LOCK_SH)


def _empty(file: Path) -> None:
    with suppress(FileNotFoundError):  # somebody has removed the folder
        os.truncate(file, 0)


def forget_reason(ledger: Ledger) -> None:
    """Remove the reason for which a pipeline before this one ended: this one has got through its start."""
    ledger.path.with_name(REASON).unlink(missing_ok=True)


@contextmanager
def reason_left(store: ObjectStore, state: Path, before: str) -> Iterator[None]:
    """Leave the reason of an error that ends the block where people look: in the state folder, and on the pages.

    Args:
        store: its status is left alone where another pipeline lives.
        state: the folder, which is held by this program.
        before: the process that held it before, and died.
    """
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, SettingError) else f"{error!r}: its log has more"
        reason = Problem(at=datetime.now(UTC), text=text[:REASON_LENGTH])
        with suppress(OSError):
            (state / REASON).write_text(reason.model_dump_json())
        publishing = Thread(target=_publish_reason, args=(store, reason, before), daemon=True)
        publishing.start()
        publishing.join(LEAVE_SECONDS)
        raise


def _publish_reason(store: ObjectStore, reason: Problem, before: str) -> None:
    """Write the reason into the status of the lake, unless another pipeline may be alive that writes it."""
    with suppress(OSError):
        status, host, ours = read_status(store), socket.gethostname(), (str(os.getpid()), before)
        if (writer := status.writer) and is_alive(writer) and (writer.host != host or str(writer.pid) not in ours):
            return
        ended = status.model_copy(update={"writer": None, "executor": None, "edits": [], "problem": reason})
        store.put(STATUS, ended.model_dump_json(indent=1).encode())
