"""The lease of a lake: the right to write it, which one pipeline has and renews by its heartbeat until it expires."""

import json
import logging
import os
import socket
import uuid
from datetime import datetime
from threading import Event
from typing import Any

from common.errors import SettingError
from common.logs import fields
from lake.heartbeat import EXPIRES_SECONDS, HEARTBEAT_SECONDS
from lake.layout import LAKE, STATUS
from lake.stores.base import ObjectStore
from pipeline.ledger.ledger import Ledger, microseconds, now
from pipeline.ledger.report import iso, status

log = logging.getLogger(__name__)


def acquire_lease(store: ObjectStore, ledger: Ledger, stop: Event) -> None:
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


def renew_lease(store: ObjectStore, ledger: Ledger, *, started: bool) -> None:
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


def release_lease(ledger: Ledger) -> None:
    """Release the lease, so that the next writer need not wait for it to expire."""
    ledger.set("writer", "null")


def _stop_other(store: ObjectStore, other: dict[str, Any]) -> str:
    return (
        f"LAKE_URL: another pipeline writes {store.url} (process {other['pid']} on {other['host']}, since "
        f"{other['started_at']}): stop that one first (Ctrl-C, or `docker compose stop pipeline`)"
    )


def _lake_id(store: ObjectStore) -> str | None:
    try:
        return str(read_json(store, LAKE)["id"])
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
        writer = read_json(store, STATUS).get("writer")
        return writer if {"id", "host", "pid", "started_at", "heartbeat_at"} <= set(writer or ()) else None
    except (FileNotFoundError, ValueError, AttributeError):  # none yet, or one that is damaged: we write a new one
        return None


def read_json(store: ObjectStore, key: str) -> dict[str, Any]:
    """Read an object of the store as JSON."""
    with store.open(key) as (_, stream):
        return json.loads(stream.read())  # type: ignore[no-any-return]
