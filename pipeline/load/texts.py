"""Small files, staged together in memory."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from common.logs import fields
from pipeline.dataset.dataset import Dataset
from pipeline.ledger.ledger import ROOM
from pipeline.load.steps import in_step
from pipeline.load.write import Staged, made_of, stage_batches
from pipeline.model.load_record import LoadRecord
from pipeline.readers.csv.batch import Batch
from pipeline.readers.csv.read import read_csv
from pipeline.readers.csv.small_files import read_together

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Text:
    """The bytes of a small file, and what its record begins with."""

    record: LoadRecord
    content: bytes


def stage_texts(texts: Sequence[Text], datasets: Mapping[str, Dataset]) -> list[Staged | Exception]:
    """Do as `stage.stage` for each, those of a dataset read as one; an error is that of one file alone."""
    if len(texts) > 1 and sum(len(text.content) for text in texts) > ROOM:  # they have grown since they were noticed
        return [one for text in texts for one in stage_texts([text], datasets)]
    numbers: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        numbers.setdefault(text.record.dataset, []).append(number)
    staged: dict[int, Staged | Exception] = {}
    for name, of_dataset in numbers.items():
        some = _stage([texts[number] for number in of_dataset], datasets[name])
        staged |= zip(of_dataset, some, strict=True)
    return [staged[number] for number in range(len(texts))]


def _stage(texts: Sequence[Text], dataset: Dataset) -> list[Staged | Exception]:
    """Stage files of one dataset."""
    batches = zip(texts, _read(texts, dataset), strict=True)
    stages = [stage_batches(one, text.record, dataset, None) for text, one in batches]
    return in_step(stages, partial(made_of, dataset))


def _read(texts: Sequence[Text], dataset: Dataset) -> list[Iterator[Batch]]:
    keyed = [(text.record.source_key, text.content) for text in texts]
    try:
        return read_together(keyed, dataset.contract, dataset.limits)
    except Exception as error:  # a fault of ours: it ends the file alone in which it comes again
        log.warning(fields("not read together", keys=" ".join(key for key, _ in keyed), error=repr(error)))
        return [read_csv(BytesIO(content), key, dataset.contract, limits=dataset.limits) for key, content in keyed]
