"""Log lines say what they are told, and a wrong setting is named: each in one line, whatever is in it."""

import importlib
import json
import re
import subprocess
import sys
import unicodedata

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from common.cli import usage_message
from common.errors import SettingError
from common.logs import fields, printable

UNSEEN = {"Cc", "Cf", "Zl", "Zp"}  # control, direction and format, ends of lines and paragraphs


@given(st.text() | st.text("a'\"\\ =\n\r\t\x1b\x7f\x85\u2028\u202e\u2066\ud800\U000e0001"))
def test_every_text_can_be_read_back_from_its_log_line(text):
    [word] = re.fullmatch("put key=(.*)", fields("put", key=text)).groups()
    assert (json.loads(word) if word.startswith('"') else word) == text
    assert not {unicodedata.category(one) for one in word} & UNSEEN


@pytest.mark.parametrize("key", ["raw/a/b.csv", "raw/ä/1'2.csv", "C:\\a"])
def test_a_plain_text_stays_as_it_is(key):
    assert fields("put", key=key, rows=3, ms=1.25) == f"put key={key} rows=3 ms=1.2"
    assert printable(key) == key


COUNT, NUMBER = "expected a whole number from", "expected a number from"
SETTINGS = [
    ("pipeline run", "PIPELINE_WORKERS", ("abc", "-1", "1.5", "1" * 30), COUNT),
    ("pipeline once", "PIPELINE_RECORD_MIB", ("abc", "0", "1" * 30), COUNT),
    ("pipeline run", "PIPELINE_GROWN_MIB", ("abc", "0", "1" * 30), COUNT),
    ("pipeline run", "SWEEP_SECONDS", ("abc", "0", "nan", "inf"), NUMBER),
    ("pipeline run", "PIPELINE_RETRACT_DELETED", ("maybe", "2"), "expected on or off"),
    ("pipeline run", "PIPELINE_DATASETS", ("/nowhere",), "does not exist"),
    ("pipeline run", "PIPELINE_STATE", ("/dev/null/x",), "cannot be written"),
    ("pipeline run", "LAKE_URL", ("ftp://x", "/dev/null/x", "s3://A"), ""),
    ("dashboard run", "LAKE_URL", ("ftp://x", "/dev/null/x"), ""),
    ("dashboard run", "DASHBOARD_PORT", ("abc", "0", "65536"), COUNT),
    ("dashboard run", "DASHBOARD_HOST", ("nowhere.invalid", "203.0.113.1"), "expected an address of this machine"),
    ("simulator run", "SIMULATOR_HOST", ("nowhere.invalid", "203.0.113.1"), "expected an address of this machine"),
    ("simulator run", "SIMULATOR_PORT", ("abc", "0", "65536"), COUNT),
    ("simulator run", "FEED", ("maybe",), "expected on or off"),
    ("simulator run", "FEED_FILES_PER_SECOND", ("abc", "0", "nan", "inf"), NUMBER),
    ("simulator run", "FEED_ROWS", ("abc", "0"), COUNT),
    ("simulator run", "SIMULATOR_SEED", ("abc", "-1"), COUNT),
    ("lake list", "LAKE_URL", ("ftp://x", "/dev/null/x"), ""),
]


@pytest.mark.parametrize(("command", "variable", "values", "takes"), SETTINGS)
def test_a_wrong_setting_is_named_with_what_it_takes(tmp_path, monkeypatch, command, variable, values, takes):
    program, *arguments = command.split()
    app = importlib.import_module(f"{program}.__main__").app
    monkeypatch.chdir(tmp_path)
    keys = {"AWS_ENDPOINT_URL": "http://x", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    for value in values:
        monkeypatch.setenv(variable, value)
        with pytest.raises((SettingError, typer.BadParameter)) as caught:
            app(arguments, standalone_mode=False)
        told = str(caught.value) if isinstance(caught.value, SettingError) else usage_message(caught.value)
        assert variable in told
        assert takes in told
        assert "\n" not in told
        assert not re.search("Input should|Value error|env var", told)


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "dashboard", "run", "--port", "a\nb\x1b"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith(r"error: DASHBOARD_PORT is 'a\nb\x1b': expected a whole number")
