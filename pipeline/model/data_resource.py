"""Contract file as it is written: a Data Resource of the Data Package standard (v2), with our additions."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from lake.layout import DATASET_NAME
from pipeline.model.descriptive import Described
from pipeline.model.dialect import Dialect
from pipeline.model.field import FieldSpec, MissingValues, Part

Match = Literal["exact", "equal", "subset", "superset", "partial"]  # of the header and the fields


def _names(value: object) -> object:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if not names or len(set(map(str, names))) < len(names):
        raise ValueError("expected the name of a field, or a list of different names")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


def _no_foreign_keys(_: object) -> None:
    raise ValueError("not supported: use a query, which may join any datasets; docs/datasets.md has one")


class Schema(Part):
    """The fields of a file, and how its header must fit them, by the names of the standard's Table Schema."""

    schema_url: str = Field(default="", alias="$schema")
    title: str = ""
    description: str = ""
    fields: tuple[FieldSpec, ...] = Field(min_length=1, strict=False)
    missingValues: MissingValues = ("",)  # noqa: N815
    fieldsMatch: Match = "exact"  # noqa: N815
    primaryKey: Names = ()  # noqa: N815
    uniqueKeys: tuple[Names, ...] = Field(default=(), strict=False)  # noqa: N815
    foreignKeys: Annotated[None, BeforeValidator(_no_foreign_keys)] = None  # noqa: N815


class Summary(Part):
    """Our addition `summary`: row count and sums by group, over the rows that are kept."""

    groupBy: tuple[str, ...] = Field(default=(), strict=False)  # noqa: N815
    sum: tuple[str, ...] = Field(default=(), strict=False)


class RejectsLimit(Part):
    """Our addition `rejects`: the most records of a file that may be rejected, as a number and as a share of all."""

    maximum: int | None = Field(default=None, ge=0)
    share: float | None = Field(default=None, ge=0, le=1)

    def exceeded(self, rejected: int, read: int) -> bool:
        """Return whether so many rejected records of `read` are above either bound; the share is exact as written."""
        return self.certain(rejected) or (self.share is not None and rejected > Decimal(str(self.share)) * read)

    def certain(self, rejected: int) -> bool:
        """Return whether so many are too many, whatever follows in the file."""
        return self.maximum is not None and rejected > self.maximum

    def __str__(self) -> str:
        """Return the bounds for a message."""
        bounds = [] if self.maximum is None else [f"at most {self.maximum:,}"]
        return " and ".join([*bounds, *([] if self.share is None else [f"at most {self.share:g} of all"])])


NO_LIMIT = RejectsLimit()


class Resource(Described):
    """Contract file as it is written: a Data Resource of the Data Package standard, and our additions."""

    name: Annotated[str, StringConstraints(pattern=DATASET_NAME)]
    encoding: str = "utf-8"
    dialect: Dialect = Dialect()
    table: Schema = Field(alias="schema")
    summary: Summary = Summary()
    rejects: RejectsLimit = NO_LIMIT
    more: bool = False  # our addition: keep what the contract does not know, in the column `_more`
