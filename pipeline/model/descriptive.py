"""Descriptive properties of the standard, which have no effect here, and what a contract says of one file's bytes."""

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from pipeline.model.field import Part

_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}

_Texts = Annotated[tuple[str, ...], Field(strict=False)]
_Objects = Annotated[tuple[dict[str, Any], ...], Field(strict=False)]


class Fixity(NamedTuple):
    """Size in bytes and hash that the file `path` must have; None where the contract does not say it."""

    path: str
    size: int | None
    algorithm: str
    digest: str | None

    def applies(self, source_key: str) -> bool:
        """Return whether a source is that file: `path` is its name, or ends in all of its key after the dataset."""
        rest = source_key.split("/", 2)[-1]
        return self.path == rest.rpartition("/")[2] or f"/{self.path}".endswith(f"/{rest}")


def parsed_hash(text: str) -> tuple[str, str]:
    """Return algorithm and digest of a `hash`, which is MD5 if it names no other; `ValueError` if it is neither."""
    algorithm, _, digest = text.rpartition(":")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{_DIGITS.get(algorithm or 'md5', 0)}}}", digest) or not digest:
        raise ValueError(
            "expected an MD5 hash of 32 hexadecimal digits, or sha1:…, sha256:… or sha512:… with all theirs"
        )
    return algorithm or "md5", digest.lower()


def _hash(text: str) -> str:
    parsed_hash(text)
    return text


class Described(Part):
    """Properties of a Data Resource that describe it: for other tools and for people, `bytes` and `hash` excepted."""

    schema_url: str = Field(default="", alias="$schema")
    path: str | _Texts = ""
    type: Literal["table"] = "table"
    id: str = ""
    title: str = ""
    description: str = ""
    homepage: str = ""
    profile: str = ""
    format: str = ""
    mediatype: str = ""
    created: str = ""
    version: str = ""
    image: str = ""
    keywords: _Texts = ()
    contributors: _Objects = ()
    sources: _Objects = ()
    licenses: _Objects = ()
    bytes: int | None = Field(default=None, ge=0)
    hash: Annotated[str, AfterValidator(_hash)] | None = None

    @property
    def fixity(self) -> Fixity | None:
        """Size and hash of one file by the contract; None if it has neither, or names no file."""
        paths = (self.path,) if isinstance(self.path, str) else self.path
        if not all(paths) or (self.bytes is None and self.hash is None):
            return None
        if len(paths) != 1:
            raise ValueError("bytes and hash are of one file: expected one path")
        algorithm, digest = parsed_hash(self.hash) if self.hash else ("md5", None)
        return Fixity(paths[0], self.bytes, algorithm, digest)
