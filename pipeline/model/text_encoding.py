"""Names of encodings: which of them are those of text files."""

import codecs

# Python's own forms of text, for its sources and for names of hosts; no file of data is written so.
_NO_FILES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "mbcs", "oem")
_PROBE = "a,\"b\";'c'\t|\r\n1.5\n"


def encoding_problem(encoding: str) -> str:
    """Return why no file can be read in an encoding; empty where one can."""
    expected = "expected one of text, like utf-8 or cp1252"
    try:
        codec = codecs.lookup(encoding)
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        written = _PROBE.encode(encoding)  # LookupError where it is not of text, such as hex
        known = codec.name.replace("_", "-") not in _NO_FILES
        good = known and decoder.decode(written[:5]) + decoder.decode(written[5:], final=True) == _PROBE
    except (LookupError, ValueError):
        return f"is none that Python knows for text: {expected}"
    return "" if good else f"is not for files of text: {expected}"
