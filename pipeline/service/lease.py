"""The lease of a lake: the right to write it, which one pipeline has and renews by its heartbeat until it expires."""

import json
import logging
import os
import socket
import uuid
from datetime import UTC, datetime
from threading import Event

from common.errors import SettingError
from common.logs import fields
from lake.heartbeat import EXPIRES_SECONDS, HEARTBEAT_SECONDS
from lake.layout import LAKE, STATUS
from lake.status import Status, Writer
from lake.stores.base import ObjectStore
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.report import EDITS, EXECUTOR, status, writer

log = logging.getLogger(__name__)


def acquire_lease(store: ObjectStore, ledger: Ledger, stop: Event) -> None:
    """Acquire the lease of a lake: make sure that the ledger belongs to it, and that no other pipeline writes it.

    Raises:
        SettingError: the ledger is of another lake, or another pipeline's heartbeat moves.
    """
    if ledger.get("lake") is None:
        if lake_id(store) is None:
            store.put(LAKE, json.dumps({"id": uuid.uuid4().hex}).encode())
        ledger.set("lake", lake_id(store) or "")  # the one that is there then, whoever made it
    check_lake(store, ledger)
    if last := writer(ledger):  # it did not release the lease
        log.warning(fields("unclean end", heartbeat_at=last.heartbeat_at, action="load what was in flight"))
    _wait_for_other(store, ledger, stop)
    if not stop.is_set():
        now = datetime.now(UTC)
        host = socket.gethostname()
        me = Writer(id=ledger.id, host=host, pid=os.getpid(), started_at=now, heartbeat_at=now, state="starting")
        ledger.set(EDITS, "[]")
        ledger.set(EXECUTOR, "null")  # of a pipeline that did not release its lease
        ledger.set("writer", me.model_dump_json())
        store.put(STATUS, status(ledger).model_dump_json().encode())  # at once, so that whoever starts now sees it


def check_lake(store: ObjectStore, ledger: Ledger) -> None:
    """Check that the store is still the lake of this ledger; `SettingError` if it is another one, or was wiped."""
    known, found = ledger.get("lake"), lake_id(store)
    if found and found != known and not ledger.rows("SELECT 1 FROM source LIMIT 1"):
        # It knows nothing yet: two that start at once may both have made the id, and the later one is there.
        ledger.set("lake", found)
    elif found != known:
        raise SettingError(
            f"PIPELINE_STATE: the ledger {ledger.path} belongs to lake {known}, and LAKE_URL ({store.url}) is "
            f"{f'lake {found}' if found else 'a lake that was wiped, or is new'}: choose another folder, or remove "
            "it (everything in it is told by the lake, or loaded again)"
        )


def renew_lease(store: ObjectStore, ledger: Ledger, *, started: bool) -> None:
    """Move the heartbeat when it is time, unless another pipeline has a better right to write this lake.

    If two pipelines start together, the one that started first continues. A pipeline that was suspended until its lease
    expired stops if another one has taken the lease.

    Raises:
        SettingError: another pipeline writes the lake, or it is not the lake that the ledger tells of.
    """
    me, state = writer(ledger), "running" if started else "starting"
    assert me
    silent = _seconds_since(me.heartbeat_at)
    if state != me.state or silent > HEARTBEAT_SECONDS * 0.9:
        # First: a store that is away is no illness.
        ledger.set(
            "writer", me.model_copy(update={"heartbeat_at": datetime.now(UTC), "state": state}).model_dump_json()
        )
    check_lake(store, ledger)
    other = read_status(store).writer
    if other and other.id != me.id:
        elder = (other.started_at, other.id) < (me.started_at, me.id)
        if elder or silent > EXPIRES_SECONDS:
            raise SettingError(_stop_other(store, other))


def release_lease(ledger: Ledger) -> None:
    """Release the lease, so that the next writer need not wait for it to expire."""
    ledger.set("writer", "null")
    ledger.set(EXECUTOR, "null")


def is_alive(holder: Writer) -> bool:
    """Return whether a lease has not expired."""
    return _seconds_since(holder.heartbeat_at) < EXPIRES_SECONDS


def read_status(store: ObjectStore) -> Status:
    """Read the published status; without counts and writer if there is none yet, or one that is damaged."""
    try:
        with store.open(STATUS) as (_, stream):
            return Status.model_validate_json(stream.read())
    except (FileNotFoundError, ValueError):
        return Status()


def _seconds_since(then: datetime) -> float:
    return abs((datetime.now(UTC) - then).total_seconds())  # a clock may jump back


def _stop_other(store: ObjectStore, other: Writer) -> str:
    return (
        f"LAKE_URL: another pipeline writes {store.url} (process {other.pid} on {other.host}, since "
        f"{other.started_at:%Y-%m-%dT%H:%M:%SZ}): stop that one first (Ctrl-C, or `docker compose stop pipeline`)"
    )


def lake_id(store: ObjectStore) -> str | None:
    """Return the id of a lake; None if no pipeline has made one yet."""
    try:
        with store.open(LAKE) as (_, stream):
            return str(json.loads(stream.read())["id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"LAKE_URL: {LAKE} of {store.url} does not say which lake it is ({error!r}): remove it"
        ) from error


def _wait_for_other(store: ObjectStore, ledger: Ledger, stop: Event) -> None:
    """Watch the heartbeat of another writer: if it moves, refuse to start; if it stands still, its lease expires."""
    first = read_status(store).writer
    if not first or first.id == ledger.id:
        return
    log.warning(fields("another writer", host=first.host, pid=first.pid, action="wait whether it is alive"))
    for _ in range(round(EXPIRES_SECONDS)):
        if stop.wait(1.0):
            return
        other = read_status(store).writer
        if other and other.id != ledger.id and other.heartbeat_at != first.heartbeat_at:
            raise SettingError(_stop_other(store, other))
    log.warning(fields("taken over", host=first.host, pid=first.pid, reason="its heartbeat stands still"))
