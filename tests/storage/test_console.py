"""Log lines that say what they are told, whatever is in it, and never more than one line."""

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.console import fields, printable

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
