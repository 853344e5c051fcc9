"""Contracts that change during a run: an edit is checked once it is finished, and taken up if it is right."""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import SettingError
from common.logs import fields
from lake.status import Edit
from pipeline.dataset.dataset import Dataset
from pipeline.dataset.definition import Definition, contract_paths, read_definition

LOOK_SECONDS = 1.0  # between two looks at the folder: if they agree, nobody is writing to it
RESTART = "it was changed after the pipeline's start: restart the pipeline, for a debugger holds on to what is loaded"
OLD_STAYS = "the version before stays in use; correct this one, and it is taken up by itself"
FILES_WAIT = "its files wait; correct it, and it is taken up by itself"
ALL_STAY = "those in use stay in use until there are others"

Check = Callable[[Iterable[Definition]], Mapping[str, Dataset | str]]
Look = Mapping[Path, tuple[int, ...]]  # what a look at a folder has seen of each file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """Change of a folder that is taken up: the new and the changed datasets, and the names of those that are gone."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


class Contracts:
    """The contracts and transforms of a folder: those in use, and why others are not.

    Args:
        folder: of the files.
        definitions: those that are used at the start.
        check: returns the dataset of each definition, or what is wrong with it; None: nothing is taken up.
    """

    def __init__(self, folder: Path, definitions: Iterable[Definition], check: Check | None) -> None:
        self.in_use = {definition.name: definition for definition in definitions}
        self.edits: Mapping[str, Edit] = {}  # by dataset: what is in the folder and not in use
        self._folder, self._check = folder, check
        self._seen: Look | None = None  # by the last look
        self._known: Look | None = None  # what was last read
        self._failed = ""  # why it could not be checked

    @property
    def waiting(self) -> Mapping[str, str]:
        """Return the datasets that have a contract, and none that can be used: why, by name."""
        edits, in_use = self.edits, self.in_use
        return {name: edit.reason for name, edit in edits.items() if name and name not in in_use}

    def look(self) -> Change | None:
        """Look at the folder; return what is to be taken up. None: nothing has changed, or a file is being written."""
        edits = self.edits
        try:
            before, self._seen = self._seen, _look(self._folder)
            if before != self._seen or self._seen == self._known:
                return None
            change = self._read()
        except OSError as error:
            if str(error) != self._failed:
                log.error(fields("contracts not checked", error=error, action="try again; those in use stay in use"))
            self._failed = str(error)
            return None
        self._known, self._failed = self._seen, ""
        return change if change != Change() or edits != self.edits else None

    def _read(self) -> Change:
        found, wrong = dict[str, Definition](), dict[str, str]()
        for path in contract_paths(self._folder):
            try:
                found[path.stem] = read_definition(path)
            except FileNotFoundError:  # it went meanwhile, and the next look sees that
                pass
            except SettingError as error:
                wrong[path.stem] = str(error)
        if self.in_use and not (found or wrong):  # as while a folder is mounted, or moved
            self._note({"": f"{self._folder}: there are no contracts"})
            return Change()
        changed = [one for name, one in found.items() if one != self.in_use.get(name)]
        gone = frozenset(self.in_use.keys() - found.keys() - wrong.keys())
        if self._check is None:
            self._note({**wrong, **dict.fromkeys([*(one.name for one in changed), *gone], RESTART)})
            return Change()
        datasets = dict[str, Dataset]()
        for name, result in self._check(changed).items():
            if isinstance(result, Dataset):
                datasets[name] = result
            else:
                wrong[name] = result
        kept = {name: one for name, one in self.in_use.items() if name not in gone}
        self.in_use = kept | {name: found[name] for name in datasets}
        self._note(wrong)
        return Change(datasets, gone)

    def _note(self, wrong: Mapping[str, str]) -> None:
        """Note why files are not in use, and log each reason that is new."""
        edits = dict[str, Edit]()
        for name, reason in wrong.items():
            action = ALL_STAY if not name else OLD_STAYS if name in self.in_use else FILES_WAIT
            texts = {"dataset": name, "reason": reason, "action": "" if reason == RESTART else action}
            edits[name] = Edit(**{part: _as_text(text) for part, text in texts.items()})
            if edits[name] != self.edits.get(name):
                log.error(fields("contract not used", dataset=name, reason=reason, action=edits[name].action))
        for name in self.edits.keys() - edits.keys():
            log.info(fields("contract mended", dataset=name))
        self.edits = edits


def _as_text(text: str) -> str:
    """Escape the bytes of a file's name that are no text: a status cannot hold them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _look(folder: Path) -> Look:
    """Return what tells one version of each file from the next: its times, its size, and which file it is."""
    seen = dict[Path, tuple[int, ...]]()
    for path in contract_paths(folder):
        for file in (path, path.with_suffix(".py")):
            if file.exists():  # otherwise a debugger that stops where errors are raised would stop here all the time
                with suppress(OSError):
                    stat = file.stat()
                    seen[file] = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
    return seen
