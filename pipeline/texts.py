"""Small files, staged together in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from pipeline.reader.batch import Batch
from pipeline.reader.read import read_csv
from pipeline.reader.together import read_together
from pipeline.recipe import Dataset
from pipeline.stage import Record, Staged, stage_batches
from pipeline.steps import in_step


@dataclass(frozen=True)
class Text:
    """The bytes of a small file, and what its record begins with."""

    record: Record
    content: bytes


def stage_texts(texts: Sequence[Text], datasets: Mapping[str, Dataset]) -> list[Staged | Exception]:
    """Do as `stage.stage` for each, those of a dataset read as one; an error is that of one file alone."""
    staged: dict[str, Staged | Exception] = {}
    for name in dict.fromkeys(text.record.dataset for text in texts):
        some, dataset = [text for text in texts if text.record.dataset == name], datasets.get(name)
        read = _read(some, dataset) if dataset else [iter(())] * len(some)
        stages = [stage_batches(one, text.record, dataset, None) for text, one in zip(some, read, strict=True)]
        staged |= zip((text.record.source_key for text in some), in_step(stages), strict=True)
    return [staged[text.record.source_key] for text in texts]


def _read(texts: Sequence[Text], dataset: Dataset) -> list[Iterator[Batch]]:
    keyed = [(text.record.source_key, text.content) for text in texts]
    try:
        return read_together(keyed, dataset.contract, dataset.limits)
    except Exception:  # a fault of ours: it is told of that file alone in which it comes again
        return [read_csv(BytesIO(content), key, dataset.contract, limits=dataset.limits) for key, content in keyed]
