"""Words for what a cell must be, for the messages of rejects."""

from pipeline.model.field import FALSE, TRUE, FieldSpec
from pipeline.model.problem import listed, shortened

_EXPECTED = {
    "string": "text",
    "integer": "an integer within 64 bits, such as -12",
    "number": "a finite number, such as 12.5",
    "boolean": "true or false",
    "date": "a date that exists, as YYYY-MM-DD",
    "datetime": "a time that exists, as YYYY-MM-DDThh:mm:ssZ",
}


def expected(field: FieldSpec) -> str:
    """Return what a cell of a field must be."""
    if field.format != "default":
        return f"a {field.type} that exists, as {shortened(field.format)}"
    if field.type == "boolean" and (field.trueValues, field.falseValues) != (TRUE, FALSE):
        return f"one of {listed((*field.trueValues, *field.falseValues))}"
    if not field.bareNumber:
        return f"{_EXPECTED[field.type]}, with nothing around it that may be a sign or another number"
    return _EXPECTED[field.type]
