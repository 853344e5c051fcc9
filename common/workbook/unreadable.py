"""Error of a workbook that cannot be read."""


class Unreadable(Exception):
    """Failure to read a workbook: `rule` is a short fixed word, `message` a sentence to act on."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(rule, message)  # so it can be pickled
        self.rule, self.message = rule, message

    def __str__(self) -> str:
        """Return the message."""
        return self.message
