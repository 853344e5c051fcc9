"""Keys of a schema, whose values must be unique within a file."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.model.data_resource import Schema


class Key(NamedTuple):
    """Fields whose values together are unique; `rule` is `unique`, `primaryKey` or `uniqueKeys`."""

    rule: str
    names: tuple[str, ...]


def keys_of(schema: Schema) -> Iterator[Key]:
    """Yield the keys of a schema, in the order in which a reject tells of them."""
    if schema.primaryKey:
        yield Key("primaryKey", schema.primaryKey)
    for field in schema.fields:
        if field.constraints.unique:
            yield Key("unique", (field.name,))
    for names in schema.uniqueKeys:
        yield Key("uniqueKeys", names)
