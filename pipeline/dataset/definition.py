"""Definition of a dataset: the bytes of its contract and of its transform, all of one moment."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.errors import SettingError


@dataclass(frozen=True)
class Definition:
    """The bytes of a dataset's two files; `path` is that of the contract, and `transform` is None if there is none."""

    path: Path
    contract: bytes
    transform: bytes | None = None

    @property
    def name(self) -> str:
        """Return the name of the dataset."""
        return self.path.stem

    @property
    def script(self) -> Path:
        """Return the path of the transform, whether it is there or not."""
        return self.path.with_suffix(".py")


def contract_paths(folder: Path) -> Iterator[Path]:
    """Yield the contracts of a folder by name; hidden files, such as those that editors make, are none."""
    for path in sorted(folder.glob("*.json")):
        if not path.name.startswith("."):
            yield path


def read_definition(path: Path) -> Definition:
    """Read the two files of a dataset.

    Raises:
        FileNotFoundError: there is no contract.
        SettingError: one of them cannot be read; the message says which, and why.
    """
    definition = Definition(path, _read(path))
    if definition.script.exists():  # otherwise a debugger that stops where errors are raised would stop here
        with suppress(FileNotFoundError):
            return Definition(path, definition.contract, _read(definition.script))
    return definition


def read_definitions(folder: Path) -> list[Definition]:
    """Read the definition of every dataset of a folder; `SettingError` names the file that cannot be read."""
    return [read_definition(path) for path in contract_paths(folder)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise SettingError(f"{path}: it cannot be read ({error.strerror}): allow it, with chmod a+r") from error
    except OSError as error:
        raise SettingError(f"{path}: it cannot be read: {error.strerror}") from error
