"""The lock of the state folder: one pipeline at a time, and what the next one learns of the one before."""

import os
import subprocess
import sys

import pytest

from common.errors import SettingError
from pipeline.service.state_folder import lock_state_folder

HOLD = """
import sys, time
from pathlib import Path
from pipeline.service.state_folder import lock_state_folder

with lock_state_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_pipeline_is_refused_and_a_killed_one_hinders_nobody(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SettingError, match=rf"\(process {holder.pid}\) works with"), lock_state_folder(tmp_path):
            pass
        assert (tmp_path / "lock").read_text() == str(holder.pid), "the refused one leaves the file as it is"
        holder.kill()
    with lock_state_folder(tmp_path) as before:
        assert before == str(holder.pid)
        assert (tmp_path / "lock").read_text() == str(os.getpid())
    with lock_state_folder(tmp_path) as before:
        assert before == ""


@pytest.mark.parametrize(("error", "expected"), [(SettingError("another lake"), ""), (ValueError("a fault"), "died")])
def test_only_a_fault_of_the_program_counts_as_a_death(tmp_path, error, expected):
    with pytest.raises(type(error)), lock_state_folder(tmp_path):
        raise error
    with lock_state_folder(tmp_path) as before:
        assert before == (str(os.getpid()) if expected else "")


def test_a_folder_that_is_removed_meanwhile_or_is_not_writable(tmp_path):
    with lock_state_folder(tmp_path / "state"):
        (tmp_path / "state/lock").unlink()
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="cannot be written: Not a directory"), lock_state_folder(tmp_path / "file"):
        pass
