"""Patterns of a cell of each type, for the fast and the reference reader."""

import re

from pipeline.model.field import FieldSpec

INTEGER = r"[+-]?[0-9]+"
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
YEAR = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # there is no year 0, but Arrow has one
DATE = YEAR + r"-[0-9]{2}-[0-9]{2}"
TIME = DATE + r"[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
YEAR_MONTH = YEAR + "-(?:0[1-9]|1[0-2])"
_DAYS = "(?:[0-9]+Y(?:[0-9]+M)?(?:[0-9]+D)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_SECONDS = r"[0-9]+(?:\.[0-9]+)?S"
_HOURS = f"T(?:[0-9]+H(?:[0-9]+M)?(?:{_SECONDS})?|[0-9]+M(?:{_SECONDS})?|{_SECONDS})"
DURATION = f"-?P(?:{_DAYS}(?:{_HOURS})?|{_HOURS}|[0-9]+W)"
ZONE = r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
_LETTER = "[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}"  # of the parts of a URI
_HOST = rf"(?:(?:{_LETTER}|:)*@)?(?:\[[0-9A-Fa-f:.]+\]|(?:{_LETTER})*)(?::[0-9]*)?"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
TEXTS = {  # formats of the type string
    "email": r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@" + rf"{_LABEL}(?:\.{_LABEL})+",
    "uri": rf"[A-Za-z][A-Za-z0-9+.-]*:(?://{_HOST}(?:/(?:{_LETTER}|[:@/])*)?|(?:(?:/?(?:{_LETTER}|[:@]))(?:{_LETTER}|[:@/])*)?|/)"
    rf"(?:\?(?:{_LETTER}|[:@/?])*)?(?:#(?:{_LETTER}|[:@/?])*)?",
    "uuid": "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
    "binary": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
}
CURRENCIES = " \t\u00a0\u202f$\u00a2\u00a3\u00a4\u00a5\u20ac\u20b9"  # and spaces: some of those in `_AHEAD`

# What stands around a number that is not bare: nothing that may be a sign (a minus of any kind, or the parenthesis of
# accounts), and no other number.
_SIGNS = "+\\-\u2010-\u2015\u2212\ufe63\uff0d\ufe62\uff0b"
_FRACTIONS = "\u00bc-\u00be\u2150-\u215f\u2189"
_RAISED = "\u00b2\u00b3\u00b9\u2070-\u2079"
_AHEAD = " \t\u00a0\u202f$\u00a2-\u00a5\u20a0-\u20cf"  # a decimal point may begin a number behind a space or a currency


def full_match(pattern: str) -> str:
    """Return the regular expression (RE2, used by both readers) that matches a whole value."""
    return rf"\A(?:{pattern})\z"


def number_pattern(field: FieldSpec) -> str:
    """Return the pattern of an integer or a number with the field's own decimal and group characters."""
    whole, begun = _unsigned(field)
    return f"[+-]?(?:{whole}|{begun})" if begun else f"[+-]?{whole}"


def _unsigned(field: FieldSpec) -> tuple[str, str]:
    """Return the patterns of a number that begins with a digit, and of one that begins with the decimal point."""
    group = re.escape(field.groupChar) if field.groupChar else None
    digits = f"[0-9]+(?:{group}[0-9]+)*" if group else "[0-9]+"
    if field.type == "integer":
        return digits, ""
    point, exponent = re.escape(field.decimalChar), "(?:[eE][+-]?[0-9]+)?"
    return f"{digits}(?:{point}[0-9]*)?{exponent}", f"{point}[0-9]+{exponent}"


def embedded_number(field: FieldSpec, digit: str) -> tuple[str, str]:
    r"""Return the pattern of a cell that has text before or after its number, and the replacement that is the number.

    A minus may stand before the text or before the number. A decimal point begins a number only behind nothing, a
    space, a currency sign or a minus: it is a part of the text in `Rs.500`.

    Args:
        digit: in the language of the pattern, the class of the digits of all scripts (RE2: `\p{Nd}`, Python: `\d`).
    """
    whole, begun = _unsigned(field)
    point = re.escape(field.decimalChar)
    strange = f"{digit}{_SIGNS}{_FRACTIONS}"
    ahead = f"[^{strange}(]"
    before = f"(?:|{ahead}*[^{strange}({point}]|{ahead}*[^{strange}({point}{_AHEAD}]{point})"
    numbers = f"{before}({whole})"
    if begun:
        numbers += f"|(?:|{ahead}*[{_AHEAD}])({begun})"
    signed = f"{ahead}*([+-])({whole}{f'|{begun}' if begun else ''})"
    pattern = f"(?:([+-]?)(?:{numbers})|{signed})(?:|[^{strange}{_RAISED}][^{strange}]*)"
    return pattern, r"\1\2\3\4\5" if begun else r"\1\2\3\4"
