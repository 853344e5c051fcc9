"""Check of datasets that were edited, in a process apart: a transform that hangs or ends it does no harm to others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from threading import Event

from common.errors import SettingError
from pipeline.dataset.dataset import Dataset, make_dataset
from pipeline.dataset.definition import Definition
from pipeline.service.executor import BatchSettings
from pipeline.service.processes import Slot

CHECK_SECONDS = 60.0  # that a transform may take to say which columns it returns


def check_definitions(settings: BatchSettings, definitions: Iterable[Definition]) -> dict[str, Dataset | str]:
    """Return each dataset by name, without its transform, or what is not right in its files.

    Raises:
        OSError: no process could be started.
    """
    slot, results = Slot(replace(settings, definitions=()), Event(), make_datasets), dict[str, Dataset | str]()
    try:
        for definition in definitions:
            results[definition.name] = _check(slot, definition)
    finally:
        slot.end(kill=True)
    return results


def _check(slot: Slot, definition: Definition) -> Dataset | str:
    if not slot.ready():
        raise OSError(f"no process could be started: {slot.end()}")
    try:
        [result] = slot.ask([definition], CHECK_SECONDS)
    except TimeoutError:
        slot.end(kill=True)
        return f"{definition.script}: a call with example rows took longer than {CHECK_SECONDS:,.0f} s"
    except (EOFError, OSError):
        return f"{definition.script}: a call with example rows ended its process: it {slot.end()}"
    return result if isinstance(result, Dataset) else str(result)


def make_datasets(settings: BatchSettings, definitions: Sequence[Definition]) -> list[Dataset | str]:
    """Make datasets in a process apart; a transform cannot be sent from there, and only processes that load need it."""
    results = list[Dataset | str]()
    for definition in definitions:
        try:
            results.append(replace(make_dataset(definition, settings.limits), transform=None))
        except SettingError as error:
            results.append(str(error))
    return results
