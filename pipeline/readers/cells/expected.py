"""Words for what a cell must be, for the messages of rejects."""

from common.messages import listed, shortened
from pipeline.model.field import FALSE, TRUE, Digits, FieldSpec

_EXPECTED = {
    "string": "text",
    "integer": "an integer within 64 bits, such as -12",
    "number": "a finite number, such as 12.5",
    "boolean": "true or false",
    "date": "a date that exists, as YYYY-MM-DD",
    "datetime": "a time that exists, as YYYY-MM-DDThh:mm:ssZ",
    "time": "a time of day, as hh:mm:ss",
    "year": "a year, as YYYY",
    "yearmonth": "a month, as YYYY-MM",
    "duration": "a duration, such as P1Y2M or PT36H",
    "object": 'a JSON object, such as {"a": 1}',
    "array": "a JSON array, such as [1, 2]",
    "geopoint": "a longitude from -180 to 180 and a latitude from -90 to 90, as 90.50, 45.50",
}
_FORMATS = {
    "email": "an e-mail address, such as a@example.org",
    "uri": "a URI, such as https://example.org/a",
    "uuid": "a UUID, such as 123e4567-e89b-42d3-a456-426614174000",
    "binary": "base64",
    "array": "a point as a JSON array of longitude and latitude, such as [90.50, 45.50]",
    "object": 'a point as a JSON object, such as {"lon": 90.50, "lat": 45.50}',
}


def expected(field: FieldSpec) -> str:
    """Return what a cell of a field must be."""
    if field.format in _FORMATS:
        return _FORMATS[field.format]
    if field.format != "default":
        return f"a {field.type} that exists, as {shortened(field.format)}"
    if field.type == "boolean" and (field.trueValues, field.falseValues) != (TRUE, FALSE):
        return f"one of {listed((*field.trueValues, *field.falseValues))}"
    if field.type == "list":
        return f"{field.itemType} values with {field.delimiter!r} between them"
    words = _digits(field.decimal) if field.decimal else _EXPECTED[field.type]
    return words if field.bareNumber else f"{words}, with nothing around it that may be a sign or another number"


def _digits(digits: Digits) -> str:
    before = digits.precision - digits.scale
    return f"a number of at most {before} digits before the decimal point and {digits.scale} after it"
