"""The fork server: a process that has imported what worker processes need, and forks them."""

import multiprocessing
import os
import shutil
import tempfile
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.util import get_temp_dir

PRELOAD = ["pipeline.service.worker_process", "lake.stores.local", "lake.stores.s3", "pandas"]
TEMPORARY_BYTES = 70  # of the path of TMPDIR, below which a socket's own name still fits


def start_fork_server() -> None:
    """Start the process that forks the workers; it imports what they need while the caller goes on."""
    if start_method() == "forkserver":
        _shorten_socket_path()
        forkserver.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()


def remove_sockets() -> None:
    """Remove the folder of the fork server's sockets at the program's end; no worker can be started after that."""
    with suppress(OSError):  # without a socket, the folder is made first
        if not multiprocessing.parent_process():  # otherwise the folder is the parent's
            shutil.rmtree(get_temp_dir())


def _shorten_socket_path() -> None:
    """Have multiprocessing make its sockets in /tmp where TMPDIR is too deep: a socket's path has 107 bytes at most."""
    if len(os.fsencode(tempfile.gettempdir())) > TEMPORARY_BYTES:
        before, tempfile.tempdir = tempfile.tempdir, "/tmp"  # noqa: S108 (a folder of its own is made in it)
        try:
            get_temp_dir()  # which it keeps for this process
        finally:
            tempfile.tempdir = before


def start_method() -> str:
    """Return how multiprocessing starts a worker process: by the fork server where there is one."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
