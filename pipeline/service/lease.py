"""One writer: a lock on the state folder between programs of one machine, a moving heartbeat between machines."""

import fcntl
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, TextIO

import typer

from common.errors import SettingError
from common.logs import fields
from lake.heartbeat import EXPIRES_SECONDS, HEARTBEAT_SECONDS
from lake.layout import LAKE, STATUS
from lake.stores.base import ObjectStore
from pipeline.ledger.last_reason import REASON
from pipeline.ledger.ledger import Ledger, microseconds, now
from pipeline.ledger.report import iso, status

REASON_LENGTH = 2000  # characters of an error that are left for the pages
LEAVE_SECONDS = 3.0  # for a store that does not answer, when the program ends
LOCK_SECONDS = 1.0  # a pipeline that was killed, and its processes, have let go of their lock by then

log = logging.getLogger(__name__)


@contextmanager
def state_folder(path: Path) -> Iterator[str]:
    """Hold the state folder for this program alone; `SettingError` says who has it, or why it cannot be had.

    Yields:
        The number of the process that held it before and died; an empty text if it ended, be it by an error. The lock
        tells, and not the ledger, for a full disk lets nobody write but takes back what was written.
    """
    with _lock_file(path) as file:
        locked = _lock(file)
        file.seek(0)
        before = file.read().strip()
        if not locked:
            raise SettingError(
                f"PIPELINE_STATE: another pipeline (process {before}) works with {path}: "
                "stop it, or choose another folder"
            )
        try:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except OSError as error:
            raise _not_writable(path, error) from error
        try:
            yield before
        except Exception as error:
            if isinstance(error, SettingError | OSError | typer.Exit):  # others may be a fault of the file in flight
                file.truncate(0)
            raise
        file.truncate(0)


def _lock_file(path: Path) -> TextIO:
    try:
        (path / "staging").mkdir(parents=True, exist_ok=True)
        return (path / "lock").open("a+")
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> SettingError:
    return SettingError(f"PIPELINE_STATE: the folder {path} cannot be written: {error.strerror}")


def _lock(file: TextIO) -> bool:
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def claim_lake(store: ObjectStore, ledger: Ledger, stop: Event) -> None:
    """Make sure that this ledger belongs to this lake and that nobody else writes it, and sign in as its writer.

    Raises:
        SettingError: the ledger is of another lake, or another pipeline's heartbeat moves.
    """
    if ledger.get("lake") is None:
        if _lake_id(store) is None:
            store.put(LAKE, json.dumps({"id": uuid.uuid4().hex}).encode())
        ledger.set("lake", _lake_id(store) or "")  # the one that is there then, whoever made it
    check_lake(store, ledger)
    if last := json.loads(ledger.get("writer") or "null"):  # nobody signed out
        log.warning(fields("unclean end", heartbeat_at=last["heartbeat_at"], action="load what was in flight"))
    _refuse_second(store, ledger, stop)
    if not stop.is_set():
        me = {"id": ledger.id, "host": socket.gethostname(), "pid": os.getpid(), "started_at": iso(now())}
        ledger.set("writer", json.dumps({**me, "heartbeat_at": iso(now()), "state": "starting"}))
        store.put(STATUS, json.dumps(status(ledger)).encode())  # at once, so that whoever starts now sees it


def check_lake(store: ObjectStore, ledger: Ledger) -> None:
    """Make sure that the store is still the lake that the ledger tells of; `SettingError` if another, or wiped."""
    known, found = ledger.get("lake"), _lake_id(store)
    if found and found != known and not ledger.rows("SELECT 1 FROM source LIMIT 1"):
        # It knows nothing yet: two that start at once may both have made the id, and the later one is there.
        ledger.set("lake", found)
    elif found != known:
        raise SettingError(
            f"PIPELINE_STATE: the ledger {ledger.path} belongs to lake {known}, and LAKE_URL ({store.url}) is "
            f"{f'lake {found}' if found else 'a lake that was wiped, or is new'}: choose another folder, or remove it "
            "(everything in it is told by the lake, or loaded again)"
        )


def keep_lake(store: ObjectStore, ledger: Ledger, *, started: bool) -> None:
    """Move the heartbeat when it is time, unless another pipeline writes this lake with a better right.

    Of two that started at once the elder stays; one that slept too long, and was taken over, goes.

    Raises:
        SettingError: another pipeline writes the lake, or it is not the lake that the ledger tells of.
    """
    me = json.loads(ledger.get("writer") or "{}")
    state = "running" if started else "starting"
    silent = abs(now() - microseconds(datetime.fromisoformat(me["heartbeat_at"])))  # a clock may jump back
    if state != me.get("state") or silent > HEARTBEAT_SECONDS * 0.9e6:
        # First: a store that is away is no illness.
        ledger.set("writer", json.dumps({**me, "heartbeat_at": iso(now()), "state": state}))
    check_lake(store, ledger)
    other = _writer(store)
    if other and other["id"] != me["id"]:
        elder = (other["started_at"], other["id"]) < (me["started_at"], me["id"])
        if elder or silent > EXPIRES_SECONDS * 1e6:
            raise SettingError(_stop_other(store, other))


def sign_out(ledger: Ledger) -> None:
    """Leave the lake to the next writer, who need not wait for a heartbeat to stand still."""
    ledger.set("writer", "null")
    forget_reason(ledger)


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
        reason = {"at": str(iso(now())), "text": text[:REASON_LENGTH]}
        with suppress(OSError):
            (state / REASON).write_text(json.dumps(reason))
        leaving = Thread(target=_leave_reason, args=(store, reason, before), daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)
        raise


def _leave_reason(store: ObjectStore, reason: dict[str, str], before: str) -> None:
    """Put the reason into the status of the lake, unless another pipeline may be alive that writes it."""
    with suppress(OSError, ValueError):
        try:
            status = dict(_read_json(store, STATUS))
        except (FileNotFoundError, ValueError, TypeError):
            status = {}
        writer = status.get("writer") or {}
        ours = (socket.gethostname(), str(os.getpid())), (socket.gethostname(), before)
        if (writer.get("host"), str(writer.get("pid"))) not in ours and _beats(writer.get("heartbeat_at")):
            return
        store.put(STATUS, json.dumps({**status, "writer": None, "problem": reason}, indent=1).encode())


def _beats(heartbeat_at: str | None) -> bool:
    try:
        then = datetime.fromisoformat(heartbeat_at or "")
        return abs((datetime.now(UTC) - then).total_seconds()) < EXPIRES_SECONDS
    except (ValueError, TypeError):
        return False


def _stop_other(store: ObjectStore, other: dict[str, Any]) -> str:
    return (
        f"LAKE_URL: another pipeline writes {store.url} (process {other['pid']} on {other['host']}, since "
        f"{other['started_at']}): stop that one first (Ctrl-C, or `docker compose stop pipeline`)"
    )


def _lake_id(store: ObjectStore) -> str | None:
    try:
        return str(_read_json(store, LAKE)["id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"LAKE_URL: {LAKE} of {store.url} does not say which lake it is ({error!r}): remove it"
        ) from error


def _refuse_second(store: ObjectStore, ledger: Ledger, stop: Event) -> None:
    """Watch the heartbeat of another writer: one that moves is alive, one that stands still is dead."""
    writer = _writer(store)
    if not writer or writer["id"] == ledger.id:
        return
    log.warning(fields("another writer", host=writer["host"], pid=writer["pid"], action="wait whether it is alive"))
    for _ in range(round(EXPIRES_SECONDS)):
        if stop.wait(1.0):
            return
        if (seen := _writer(store)) and seen["id"] != ledger.id and seen["heartbeat_at"] != writer["heartbeat_at"]:
            raise SettingError(_stop_other(store, seen))
    log.warning(fields("taken over", host=writer["host"], pid=writer["pid"], reason="its heartbeat stands still"))


def _writer(store: ObjectStore) -> dict[str, Any] | None:
    try:
        writer = _read_json(store, STATUS).get("writer")
        return writer if {"id", "host", "pid", "started_at", "heartbeat_at"} <= set(writer or ()) else None
    except (FileNotFoundError, ValueError, AttributeError):  # none yet, or one that is damaged: we write a new one
        return None


def _read_json(store: ObjectStore, key: str) -> dict[str, Any]:
    with store.open(key) as (_, stream):
        return json.loads(stream.read())  # type: ignore[no-any-return]
