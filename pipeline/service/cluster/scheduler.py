"""Scheduler of a cluster: Dask's own, with a page. It keeps no state: who forgets nothing is the pipeline's ledger."""

import asyncio
import logging
from pathlib import Path
from urllib.parse import urlsplit

import distributed.scheduler
from distributed import Scheduler, Security

from common.errors import SettingError
from common.logs import fields
from pipeline.service.cluster import connection
from pipeline.service.cluster.signals import until_signal

log = logging.getLogger(__name__)


def run_scheduler(address: str, certificates: Path | None, host: str, page_port: int) -> None:
    """Run a scheduler on the port of `address` until Ctrl-C or SIGTERM.

    Args:
        address: under which the members of the cluster find it.
        certificates: the folder of the cluster's certificates; not needed for tcp://.
        host: the address of this machine that it listens on, and its page too.
        page_port: the port of its page.

    Raises:
        SettingError: the address is none, a certificate is missing, or a port is taken.
    """
    connection.configure()
    security = connection.cluster_security(address, certificates)
    asyncio.run(_serve(address, security, host, page_port))


async def _serve(address: str, security: Security, host: str, page_port: int) -> None:
    stopped, parts = until_signal(), urlsplit(address)
    scheduler = Scheduler(
        host=host,
        port=parts.port or 0,
        protocol=parts.scheme,
        security=security,
        extensions=connection.without_spans(distributed.scheduler.DEFAULT_EXTENSIONS),
        dashboard_address=f"{host}:{page_port}",
    )
    try:
        await scheduler
    except RuntimeError as error:  # of Dask, which has the reason behind it
        raise SettingError(f"PIPELINE_SCHEDULER: {address} cannot be served: {error.__cause__ or error}") from error
    if scheduler.services["dashboard"].port != page_port:  # Dask takes another one by itself
        await scheduler.close()
        raise SettingError(f"SCHEDULER_PORT: another program has port {page_port} of {host}: choose another one")
    log.info(fields("scheduler started", address=scheduler.address, page=f"http://{host}:{page_port}"))
    try:
        await stopped
    finally:
        logging.getLogger("distributed.scheduler").setLevel(logging.CRITICAL)  # a traceback for each worker
        await scheduler.close(reason="signal")
