"""Worker of a cluster: it joins its scheduler, and joins again whenever the two have lost each other."""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import distributed.worker
from distributed import Security, Status, Worker

from common.errors import SettingError, StoreUnavailable
from common.logs import fields
from common.retry import Backoff
from lake.stores import open_store
from pipeline.dataset.dataset import fingerprint
from pipeline.service.cluster import connection
from pipeline.service.cluster.cluster_workers import VERSION_NAME
from pipeline.service.cluster.loading import Loading
from pipeline.service.cluster.signals import until_signal
from pipeline.service.cluster.version import as_resources, short, versions
from pipeline.service.contracts import LOOK_SECONDS, Change, Contracts
from pipeline.service.executor import BatchSettings
from pipeline.service.lease import lake_id
from pipeline.service.processes import ProcessExecutor

END_SECONDS = 0.1  # between two looks whether a load has ended
LEAVE_SECONDS = 5.0  # that it may take to give the worker's batches to others
JOIN_SECONDS = 10.0  # that a scheduler which answers may take to accept a worker

log = logging.getLogger(__name__)


def worker_name() -> str:
    """Return the name of this process as a worker: its host and its process id."""
    return f"{socket.gethostname()}-{os.getpid()}"


def run_worker(
    name: str,
    settings: BatchSettings,
    contracts: Contracts,
    scheduler: str,
    certificates: Path | None,
    load_seconds: float,
) -> None:
    """Load what the scheduler gives, until Ctrl-C or SIGTERM; look for the scheduler again whenever it is gone.

    Args:
        name: of the worker in the cluster.
        settings: of its process; the staging folder is made, and removed at the end with the folder that it is in.
        contracts: those that it loads by, which may change.
        scheduler: the address.
        certificates: the folder of the cluster's certificates; not needed for tcp://.
        load_seconds: that a file may take, see `ProcessExecutor`.

    Raises:
        SettingError: a setting is wrong, or the lake is a folder.
    """
    connection.refuse_folder(settings.lake)
    connection.configure()
    trust = connection.cluster_security(scheduler, certificates)
    folder = settings.staging.parent
    try:
        settings.staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"PIPELINE_STATE: the folder {folder} cannot be made: {error.strerror}") from error
    log.info(fields("worker started", name=name, datasets=len(settings.definitions)))
    make = partial(_joinable, name, settings, contracts, scheduler, trust, load_seconds)
    try:
        _run(_work(scheduler, make, contracts))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _joinable(
    name: str, settings: BatchSettings, contracts: Contracts, scheduler: str, trust: Security, load_seconds: float
) -> Callable[[], Worker]:
    """Return how to make a worker, after the questions to the scheduler and to the store; `OSError` if one is away."""
    host = connection.reach(scheduler, trust)  # it listens on the way to the scheduler, and on no other network
    if not (lake := lake_id(open_store(settings.lake, dict(settings.bucket)))):
        raise StoreUnavailable("there is no lake yet: a pipeline makes it")
    settings = replace(settings, definitions=tuple(contracts.in_use.values()))
    version = versions(lake, {one.name: fingerprint(one, settings.limits) for one in settings.definitions})
    return partial(
        Worker,
        scheduler,
        host=host,
        name=name,
        nthreads=1,
        local_directory=str(settings.staging.parent),
        resources=as_resources(version),
        startup_information={VERSION_NAME: lambda _: short(version)},
        security=trust,
        memory_limit=0,  # the loads' memory is that of another process
        plugins=(Loading(partial(ProcessExecutor, settings, 1, load_seconds)),),
        extensions=connection.without_spans(distributed.worker.DEFAULT_EXTENSIONS),
        death_timeout=JOIN_SECONDS,
    )


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run until `work` is done, and leave what else is under way.

    A task of Dask's never ends if scheduler and worker end at the same time, and `asyncio.run` would wait for it.
    """
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work)
    loop.set_exception_handler(lambda *_: None)


async def _work(scheduler: str, make: Callable[[], Callable[[], Worker]], contracts: Contracts) -> None:
    """Join the cluster, again and again, until a signal."""
    stopped, changed = until_signal(), asyncio.Event()
    following = asyncio.create_task(_follow(contracts, changed))
    backoff = Backoff(log, "cannot join", "can join again", scheduler=scheduler)
    while not stopped.done():
        changed.clear()
        try:
            worker = await (await asyncio.to_thread(make))()
        except (OSError, TimeoutError, RuntimeError) as error:
            # Dask's own error has the reason behind it: such as that the scheduler still has the worker of before.
            reason = error.__cause__ or error
            await _first(stopped, asyncio.sleep(backoff.failed(OSError(str(reason) or repr(reason)))))
            continue
        backoff.ended()
        log.info(fields("joined", scheduler=scheduler, address=worker.address))
        await _first(stopped, worker.finished(), changed.wait())
        if changed.is_set() and not stopped.done():
            log.info(fields("contracts taken up", action="end the load, and join again"))
            await _end_load(worker, stopped)
        elif not stopped.done():
            log.warning(fields("left", scheduler=scheduler, action="end the loads, and join again"))
            continue
        with suppress(OSError, TimeoutError):  # the scheduler may be gone by now
            await asyncio.wait_for(worker.close_gracefully(reason="signal"), LEAVE_SECONDS)  # others get its batches
    following.cancel()


async def _follow(contracts: Contracts, changed: asyncio.Event) -> None:
    """Look at the folder of contracts again and again, and set `changed` once there are others in use."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if (change := await asyncio.to_thread(contracts.look)) and change != Change():
            changed.set()


async def _end_load(worker: Worker, stopped: "asyncio.Future[None]") -> None:
    """Have a worker begin no other load, and wait for the end of the one that it has begun."""
    worker.status = Status.paused
    while worker.status == Status.paused and worker.state.executing_count and not stopped.done():
        await asyncio.sleep(END_SECONDS)


async def _first(*others: Awaitable[Any]) -> None:
    """Wait for the first of these, the stop among them, and end the wait for those that are not futures."""
    waiting = [asyncio.ensure_future(other) for other in others]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting[1:]:
        one.cancel()
