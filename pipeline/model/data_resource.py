"""Contract file as it is written: a Data Resource of the Data Package standard (v2), with our additions."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from lake.layout import DATASET_NAME
from pipeline.model.field import FieldSpec, OneCharacter, Part

Match = Literal["exact", "equal", "subset"]  # of the header and the fields


class Dialect(Part):
    """Way in which a file is written, by the names of the standard's Table Dialect."""

    delimiter: OneCharacter = ","
    quoteChar: OneCharacter = '"'  # noqa: N815


class Schema(Part):
    """The fields of a file, and how its header must fit them, by the names of the standard's Table Schema."""

    fields: tuple[FieldSpec, ...] = Field(min_length=1, strict=False)
    missingValues: tuple[str, ...] = Field(default=("",), strict=False)  # noqa: N815
    fieldsMatch: Match = "exact"  # noqa: N815


class Summary(Part):
    """Our one addition: row count and sums by group, over the rows that are kept."""

    groupBy: tuple[str, ...] = Field(default=(), strict=False)  # noqa: N815
    sum: tuple[str, ...] = Field(default=(), strict=False)


class Resource(Part):
    """Contract file as it is written: a Data Resource of the Data Package standard, and `summary`."""

    schema_url: str = Field(default="", alias="$schema")
    name: Annotated[str, StringConstraints(pattern=DATASET_NAME)]
    path: str = ""
    title: str = ""
    description: str = ""
    encoding: str = "utf-8"
    dialect: Dialect = Dialect()
    table: Schema = Field(alias="schema")
    summary: Summary = Summary()
