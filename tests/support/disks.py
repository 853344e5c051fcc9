"""Small file systems of a test's own: disks that are full, or take no more writes; and modes that hold for root too."""

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def _as_root(*command: str) -> subprocess.CompletedProcess[bytes]:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    return subprocess.run([*sudo, *command], capture_output=True, check=True)


@dataclass(frozen=True)
class Disk:
    """File system in memory, mounted at `path`."""

    path: Path

    def fill(self) -> Path:
        """Leave no room on it; give the file that takes it all."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return filler

    def read_only(self, yes: bool) -> None:
        """Take no more writes, or take them again. No file may be open for writing meanwhile."""
        _as_root("mount", "-o", f"remount,{'ro' if yes else 'rw'}", str(self.path))


@contextmanager
def disk(path: Path, mib: int) -> Iterator[Disk]:
    """Mount a disk of so many MiB while the block runs."""
    path.mkdir(parents=True, exist_ok=True)
    _as_root("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0777", "tmpfs", str(path))
    try:
        yield Disk(path)
    finally:
        _as_root("umount", "--lazy", str(path))


def can_mount() -> bool:
    """Return whether this user may mount such a disk here."""
    if sys.platform != "linux":
        return False
    try:
        with tempfile.TemporaryDirectory() as folder, disk(Path(folder), 1):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def without_rights() -> None:
    """Apply the modes of files to root too, in this thread and in what it starts."""
    libc, header, sets = (
        ctypes.CDLL(None, use_errno=True),
        (ctypes.c_uint32 * 2)(0x20080522, 0),
        (ctypes.c_uint32 * 6)(),
    )
    assert libc.capget(header, sets) == 0
    for number in (0, 1):  # what is in effect, and what is permitted
        sets[number] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
