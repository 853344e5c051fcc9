"""Export of the open problem's file: its rejected records as a file to correct, and what to do with it."""

import io
import json
import shlex

import streamlit as st

from dashboard.shared import formats
from dashboard.shared.file_format import Format
from dashboard.shared.published import BY_URL, Published
from lake.export_rejects import Export, SourceForm, export_rejects
from lake.mending import MENDS
from lake.rejects import CannotExport

MAX_CHARACTERS = 20_000_000  # of a source that are read: a second
MEMORY = 200 << 20  # bytes that reading a workbook may take: a fifth of what the page's container has
TYPES = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def show(key: str, published: Published, format_: Format) -> None:
    """Draw a button that saves the rejected records of a file, and how to put them back; or why there is none."""
    loads = published.loads()
    states = [] if loads is None else loads.loc[loads["source_key"] == key, ["etag", "rows_mended"]].to_numpy().tolist()
    try:
        older = {"delimiter": format_.delimiter, "quoteChar": format_.quote}  # of a pipeline that publishes no more
        dialect = json.dumps(older if format_.dialect is None else format_.dialect)
        exported = _export(published, key, format_.encoding, dialect, len(format_.columns), str(states))
    except OSError as error:
        exported = str(error)
    if isinstance(exported, str):
        st.caption(f"{formats.plain(exported)}.")
        return
    result, content = exported
    name, records = result.key.rpartition("/")[2], formats.count(result.records, "rejected record")
    label = f"Download {records} of this file"
    type_ = TYPES.get(name.rpartition(".")[2].lower(), "text/plain")
    st.download_button(label, content, name, type_, "reject-export", on_click="ignore", icon=":material/download:")
    st.caption(f"**To mend:** correct the values, keep the column `{MENDS}`, and put the file back under this key:")
    st.code(result.key, language=None, wrap_lines=True)
    st.caption("With this command, or with any S3 client:")
    st.code(put_command(name, key.split("/")[1]), language="bash", wrap_lines=True)
    st.caption("Its rows are loaded, and the rejects whose records pass are shown as mended.")


def put_command(name: str, dataset: str) -> str:
    """Return the command that puts a file of this folder into a dataset, for a shell and for make."""
    file, folder = (shlex.quote(text.replace("$", "$$")) for text in (name, dataset))
    return f"make put FILE={file} DATASET={folder}"


@st.cache_data(ttl=30, max_entries=3, show_spinner=False, hash_funcs=BY_URL)
def _export(
    published: Published, key: str, encoding: str, dialect: str, fields: int, _state: str
) -> tuple[Export, bytes] | str:
    """Return an export and its content, or why there is none: the page asks twice a second, and reading takes time."""
    out, form = io.BytesIO(), SourceForm(encoding, json.loads(dialect), fields)
    try:
        result = export_rejects(published.store, key, form, out, MEMORY, MAX_CHARACTERS)
    except CannotExport as error:
        return str(error)
    return result, out.getvalue()
