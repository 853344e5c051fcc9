"""Errors that a person corrects, and those of a store that cannot be used now."""

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # a file system's errors where no space is left


class SettingError(ValueError):
    """The named setting is missing or wrong: one line with the value and what it takes. Exit code 2."""


class StoreUnavailable(ConnectionError):
    """The store does not answer: nothing is known about the object, try again when it is back."""


class StoreFull(StoreUnavailable):
    """The store answers and has no room: nothing was written, try again when there is some."""


def no_room_cause(error: BaseException | None) -> BaseException | None:
    """Return the first error of a chain of causes that says that no space is left, in the store or on a disk."""
    while error:
        if isinstance(error, StoreFull) or (isinstance(error, OSError) and error.errno in NO_ROOM):
            return error
        error = error.__cause__ or error.__context__
    return None
