"""Worker of a cluster: it joins its scheduler, and joins again whenever the two have lost each other."""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import distributed.worker
from distributed import Security, Worker

from common.errors import SettingError, StoreUnavailable
from common.logs import fields
from common.retry import Outage
from lake.stores import open_store
from pipeline.service.cluster import connection
from pipeline.service.cluster.cluster_workers import VERSION_NAME
from pipeline.service.cluster.loading import Loading
from pipeline.service.cluster.signals import until_signal
from pipeline.service.cluster.version import as_resources, short, versions
from pipeline.service.executor import BatchSettings
from pipeline.service.lease import lake_id
from pipeline.service.processes import ProcessExecutor

LEAVE_SECONDS = 5.0  # that it may take to give the worker's batches to others
JOIN_SECONDS = 10.0  # that a scheduler which answers may take to accept a worker

log = logging.getLogger(__name__)


def worker_name() -> str:
    """Return the name of this process as a worker: its host and its process id."""
    return f"{socket.gethostname()}-{os.getpid()}"


def run_worker(
    name: str, settings: BatchSettings, scheduler: str, certificates: Path | None, load_seconds: float
) -> None:
    """Load what the scheduler gives, until Ctrl-C or SIGTERM; look for the scheduler again whenever it is gone.

    Args:
        name: of the worker in the cluster.
        settings: of its process; the staging folder is made, and removed at the end with the folder that it is in.
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
    log.info(fields("worker started", name=name, datasets=len(settings.fingerprints)))
    make = partial(_joinable, name, settings, scheduler, trust, partial(ProcessExecutor, settings, 1, load_seconds))
    try:
        _run(_work(scheduler, make))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _joinable(
    name: str, settings: BatchSettings, scheduler: str, trust: Security, processes: Callable[[], ProcessExecutor]
) -> Callable[[], Worker]:
    """Return how to make a worker, after the questions to the scheduler and to the store; `OSError` if one is away."""
    host = connection.reach(scheduler, trust)  # it listens on the way to the scheduler, and on no other network
    if not (lake := lake_id(open_store(settings.lake, dict(settings.bucket)))):
        raise StoreUnavailable("there is no lake yet: a pipeline makes it")
    version = versions(lake, dict(settings.fingerprints))
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
        plugins=(Loading(processes),),
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


async def _work(scheduler: str, make: Callable[[], Callable[[], Worker]]) -> None:
    """Join the cluster, again and again, until a signal."""
    stopped = until_signal()
    outage = Outage(log, "cannot join", "can join again", scheduler=scheduler)
    while not stopped.done():
        try:
            worker = await (await asyncio.to_thread(make))()
        except (OSError, TimeoutError, RuntimeError) as error:
            # Dask's own error has the reason behind it: such as that the scheduler still has the worker of before.
            reason = error.__cause__ or error
            await _first(stopped, asyncio.sleep(outage.failed(OSError(str(reason) or repr(reason)))))
            continue
        outage.ended()
        log.info(fields("joined", scheduler=scheduler, address=worker.address))
        await _first(stopped, worker.finished())
        if not stopped.done():
            log.warning(fields("left", scheduler=scheduler, action="end the loads, and join again"))
            continue
        with suppress(OSError, TimeoutError):  # the scheduler may be gone by now
            await asyncio.wait_for(worker.close_gracefully(reason="signal"), LEAVE_SECONDS)  # others get its batches


async def _first(stopped: "asyncio.Future[None]", other: Awaitable[Any]) -> None:
    """Wait for either."""
    waiting = asyncio.ensure_future(other)
    await asyncio.wait({stopped, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
