"""Numbers with exact digits: of a text the decimal that it says, if it fits, and never another one."""

from decimal import Context, Decimal, InvalidOperation

from pipeline.model.field import Digits

_WIDE = Context(prec=76)


def exact_number(text: str, digits: Digits) -> Decimal | None:
    """Return a number as Python writes it with all the digits of a field; None if it has more of them."""
    try:
        value = Decimal(text)
    except InvalidOperation:  # of an exponent beyond those of decimals
        return None
    if value:
        _, numbers, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        significant = "".join(map(str, numbers)).rstrip("0")
        last = exponent + len(numbers) - len(significant)  # the power of ten of the last digit
        if -last > digits.scale or len(significant.lstrip("0")) + last > digits.precision - digits.scale:
            return None
    return (
        Decimal(0).scaleb(-digits.scale)
        if not value
        else value.quantize(Decimal(1).scaleb(-digits.scale), context=_WIDE)
    )
