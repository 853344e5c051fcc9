"""Look into the zip of `.xlsx` and `.ods` files: what it is, how far it grows, and where its cells are in error.

calamine trusts the zip's directory and shows an error cell as an empty one, so both are looked at here.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from xml.etree import ElementTree
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from common.workbook.compound_file import PASSWORD, Errors
from common.workbook.error_cells import open_document_errors, sheet_errors
from common.workbook.unreadable import Unreadable

PIECE = 1 << 16  # compressed bytes that are unpacked at a time
GROWN_PIECE = 1 << 20  # bytes that come out of them at a time

DOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"


@dataclass(frozen=True)
class Bounds:
    """Limits, in bytes, of what an archive may grow to; it may always grow `ratio` times."""

    grown: int
    ratio: int


class Archive:
    """Zip of a workbook; `Unreadable` if it is damaged, has a password, or grows too far."""

    def __init__(self, content: bytes, bounds: Bounds) -> None:
        self._content, self._bounds = content, bounds
        self._sizes: dict[str, int] = {}  # of the parts that were unpacked
        try:
            with ZipFile(BytesIO(content)) as file:
                self._parts = {info.filename.replace("\\", "/").lower(): info for info in file.infolist()}
        except (BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise _damaged(error) from error
        self.kind = self._kind()
        self._check_directory()

    def _kind(self) -> str:
        if "xl/workbook.xml" in self._parts:
            return "xlsx"
        if "content.xml" in self._parts and "mimetype" in self._parts:
            if self._read("mimetype").startswith(DOCUMENT):
                return "ods"
            raise Unreadable("workbook", "the file is an OpenDocument file, but not a spreadsheet")
        if "xl/workbook.bin" in self._parts:
            raise Unreadable("workbook", "the file is a binary workbook (.xlsb): save it as .xlsx")
        raise Unreadable("workbook", "the file is a zip, but not a workbook: expected .xlsx, .xls or .ods")

    def _check_directory(self) -> None:
        for info in self._parts.values():
            if info.flag_bits & 1:
                raise Unreadable("workbook", PASSWORD)
            if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                part = f"its part {info.filename!r:.80} is packed by method {info.compress_type}"
                raise Unreadable("workbook", f"{part}, expected 8 (deflate): save the workbook again")
        if self.kind == "ods" and b"encryption-data" in self._read("meta-inf/manifest.xml"):
            raise Unreadable("workbook", PASSWORD)
        self._check_growth(sum(info.file_size for name, info in self._parts.items() if name.endswith(".xml")))

    def _check_growth(self, grown: int) -> None:
        if grown > self._bounds.grown and grown > self._bounds.ratio * len(self._content):
            message = (
                f"the {len(self._content):,} bytes of the workbook grow to more than {self._bounds.grown:,}, and more "
                f"than {self._bounds.ratio} times: split it, or raise PIPELINE_GROWN_MIB"
            )
            raise Unreadable("size", message)

    def errors(self, sheet: str) -> Errors:
        """Return the error cells of a sheet, after each part that calamine reads has been unpacked once."""
        if self.kind == "ods":
            return open_document_errors(partial(self._unpack, "content.xml"), sheet)
        part = self._sheet_part(sheet)
        for name in self._parts:
            if name.endswith((".xml", ".rels")) and not name.startswith("xl/worksheets/") and name != part:
                for _ in self._unpack(name):
                    pass
        return sheet_errors(partial(self._unpack, part))

    def _sheet_part(self, sheet: str) -> str:
        """Return the name of the part that has a sheet's cells."""
        try:
            book = ElementTree.fromstring(self._read("xl/workbook.xml"))  # noqa: S314 (expat bounds what entities grow to)
            links = ElementTree.fromstring(self._read("xl/_rels/workbook.xml.rels"))  # noqa: S314
        except ElementTree.ParseError as error:
            raise _damaged(error) from error
        targets = {link.get("Id"): link.get("Target", "") for link in links}
        for element in book.iter():
            if element.tag.endswith("}sheet") and element.get("name") == sheet:
                ids = [value for name, value in element.items() if name.endswith("}id")]
                target = targets.get(ids[0] if ids else None, "")
                part = target[1:] if target.startswith("/") else f"xl/{target}"
                if part.lower() in self._parts:
                    return part.lower()
        raise Unreadable("workbook", f"the workbook is damaged: it has no cells for its sheet {sheet!r:.200}")

    def _read(self, name: str) -> bytes:
        return b"".join(self._unpack(name))

    def _unpack(self, name: str) -> Iterator[bytes]:
        """Yield the content of a part as it really is, whatever the directory says of its size."""
        info = self._parts.get(name)
        if info is None:
            raise Unreadable("workbook", f"the workbook is damaged: its part {name} is not there")
        self._sizes[name] = 0  # it counts once, however often it is read
        for piece in _pieces(self._content, info):
            self._sizes[name] += len(piece)
            self._check_growth(sum(self._sizes.values()))
            yield piece


def _pieces(content: bytes, info: ZipInfo) -> Iterator[bytes]:
    header = content[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
        raise _damaged(f"its part {info.filename!r:.80} is not where the directory says")
    start = info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    stop = min(start + info.compress_size, len(content))
    if info.compress_type == ZIP_STORED:
        yield content[start:stop]
        return
    decoder = zlib.decompressobj(wbits=-15)
    try:
        for at in range(start, stop, PIECE):
            data = content[at : min(at + PIECE, stop)]
            while data and not decoder.eof:
                yield decoder.decompress(data, GROWN_PIECE)
                data = decoder.unconsumed_tail
    except zlib.error as error:
        raise _damaged(error) from error
    if not decoder.eof:
        raise _damaged(f"its part {info.filename!r:.80} ends too early")


def _damaged(error: object) -> Unreadable:
    return Unreadable("workbook", f"the workbook is damaged, or was not sent whole: {error}")
