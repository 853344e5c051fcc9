"""Patterns of a cell of each type, for the fast and the reference reader."""

import re

from pipeline.model.field import FieldSpec
from pipeline.model.problem import shortened

INTEGER = r"[+-]?[0-9]+"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
YEAR = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # there is no year 0, but Arrow has one
DATE = YEAR + r"-[0-9]{2}-[0-9]{2}"
TIME = DATE + r"[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
ZONE = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")  # the standard's words

_DIRECTIVES = {"Y": "[0-9]{4}", "m": "[0-9]{2}", "d": "[0-9]{2}", "H": "[0-9]{2}", "M": "[0-9]{2}", "S": "[0-9]{2}"}


def full_match(pattern: str) -> str:
    """Return the regular expression (RE2, used by both readers) that matches a whole value."""
    return rf"\A(?:{pattern})\z"


def grouped_number(field: FieldSpec) -> str:
    """Return the pattern of a number with the field's own decimal and group characters."""
    group = re.escape(field.groupChar) if field.groupChar else None
    digits = f"[0-9]+(?:{group}[0-9]+)*" if group else "[0-9]+"
    point = re.escape(field.decimalChar)
    return rf"[+-]?(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"


def format_pattern(field: FieldSpec) -> tuple[str, str]:
    r"""Return the pattern of a date or time format, and the replacement (`\\1`) that makes it ISO 8601.

    Raises:
        ValueError: the format has an unknown directive, one twice, or lacks one that the type needs.
    """
    pattern, directives = "", []
    for directive, literal in re.findall(r"%(.)|([^%]+|%\Z)", field.format):
        if literal:
            pattern += re.escape(literal)
        elif directive not in _DIRECTIVES or directive in directives:
            raise ValueError(f"format {shortened(field.format)!r}: %{directive} is not supported, or there twice")
        else:
            pattern += f"({_DIRECTIVES[directive]})"
            directives.append(directive)
    needed = "Ymd" if field.type == "date" else "YmdHM"
    allowed = needed if field.type == "date" else "YmdHMS"
    if not set(needed) <= set(directives) <= set(allowed):
        raise ValueError(
            f"format {shortened(field.format)!r}: a {field.type} takes {' '.join('%' + one for one in allowed)}"
        )
    group = {directive: rf"\{number}" for number, directive in enumerate(directives, 1)}
    iso = f"{group['Y']}-{group['m']}-{group['d']}"
    if field.type == "datetime":
        iso += f"T{group['H']}:{group['M']}:{group.get('S', '00')}"
    return pattern, iso
