"""Query: SQL over what was loaded, what was rejected and what was published, with nothing else in reach."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard.query.client import Answer, Asker, examples, known_views, schemas
from dashboard.query.sandbox import NOTE, QueryError
from dashboard.shared import formats, notices
from dashboard.shared.charts import frame_chart, is_number, line_chart, roles
from dashboard.shared.published import Published, UnreadableError
from dashboard.shared.tables import download, table
from lake.status import Status

HEIGHT = 200  # pixels of the text and of the list of columns beside it
READY = "ready"
LATE = "late"  # a query could be run since just now, and the page was drawn from what was read before
ROW = "row of the result"  # what is on the x axis where no column is
FRESH = 10  # seconds that the list of columns is kept
MONOSPACE = "<style>.st-key-query-sql textarea { font-family: monospace }</style>"


@st.cache_resource(show_spinner=False)
def _asker(url: str) -> Asker:
    return Asker(url)


@st.cache_data(ttl=FRESH, max_entries=1, show_spinner=False)
def _schemas(_published: Published, url: str, names: dict[str, str]) -> dict[str, pa.Schema]:  # noqa: ARG001 - the key
    return schemas(_published.store, names)


def _read(published: Published, status: Status) -> tuple[dict[str, str], dict[str, pa.Schema]]:
    names, listed = known_views(status.datasets)
    known = _schemas(published, published.store.url, listed)
    if not known:
        _schemas.clear()  # the first file may come at any moment
    return names, known


def show(published: Published) -> None:
    """Draw the page."""
    st.html(MONOSPACE)
    with notices.waiting(published):
        state = _state(published)
    seen = notices.latest(published, "query", _read)
    state = notices.failure("query") or state  # as what is drawn: the store may have gone or come since the first look
    names, known = seen[1] if seen else ({}, {})
    if state != READY or not known:
        _wait(published, state if state != READY else LATE)
    if not known:
        if seen:
            notices.no_files()
        return
    asker = _asker(published.store.url)
    asker.warm()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        asked = _editor(examples(known))
    with right:
        _columns(known)
    if asked:
        with st.spinner("Running", show_time=True):
            st.session_state["query-result"] = _ask(asker, names)
    _result(st.session_state.get("query-result"))


def _state(published: Published) -> str:
    """Say in a word whether a query can be run, or why not."""
    try:
        status = published.status()
        known = status and _read(published, status)[1]
    except (OSError, UnreadableError) as error:
        return type(error).__name__
    return READY if known else "no files" if status else "nothing published"


@st.fragment(run_every=0.5, key="query-wait")
def _wait(published: Published, state: str) -> None:
    """Draw the page again as soon as it is no more in this state; one that is ready stands still."""
    if _state(published) != state:
        st.rerun()


def _editor(queries: dict[str, str]) -> bool:
    def start() -> None:
        st.session_state["query-sql"] = queries.get(st.session_state["query-example"], "")

    st.session_state.setdefault("query-sql", next(iter(queries.values()), "SELECT 1"))
    st.selectbox("Start from", queries, key="query-example", on_change=start, index=None, placeholder="an example")
    with st.form("query-form", border=False):
        st.text_area("SQL", key="query-sql", height=HEIGHT, help="One query, in the SQL of DuckDB. Times are in UTC.")
        return st.form_submit_button("Run", type="primary", icon=":material/play_arrow:", shortcut="Mod+Enter")


def _columns(schemas: Mapping[str, pa.Schema]) -> None:
    rows = [(view, field.name, str(field.type)) for view, schema in schemas.items() for field in schema]
    st.markdown("Views and their columns")
    table(pd.DataFrame(rows, columns=["view", "column", "type"]), "query-schema", height=HEIGHT + 80)
    for view, schema in schemas.items():
        if NOTE in (schema.metadata or {}):
            st.warning(f"**{formats.plain(view)}:** {schema.metadata[NOTE].decode()}", icon=":material/history:")
    st.caption(
        "What was loaded is in `clean_…`, what is wrong with the rest in `rejected_…`, the sums in `published_…`. "
        "A query reads the views that it names; `SHOW TABLES` has those of this list."
    )


def _ask(asker: Asker, names: Mapping[str, str]) -> Answer | str:
    line = st.empty()

    def watch(before: int) -> None:
        # A call of Streamlit's, at which it ends this run where the visitor has left or asks anew.
        line.caption(f"Waiting: {formats.count(before, 'query', 'queries')} before you." if before else "")

    try:
        result: Answer | str = asker.ask(names, st.session_state["query-sql"], watch)
    except QueryError as error:
        result = str(error)
    line.empty()
    return result


def _result(result: Answer | str | None) -> None:
    if result is None:
        st.caption("Run a query to see its rows here.")
    elif isinstance(result, str):
        st.error("**The query gave no result.**", icon=":material/error:")
        st.code(result, language=None)
    elif result.frame.empty:
        st.info("The query ran, and found no rows.", icon=":material/search_off:")
    else:
        _rows(result)


def _rows(answer: Answer) -> None:
    frame = answer.frame
    if answer.note:
        st.info(answer.note, icon=":material/history:")
    shown, drawn = st.tabs(["Table", "Chart"], key="query-tabs")
    with shown:
        table(frame, "query-table")
    decimals = {str(name): frame[name] for name in frame if _is_decimal(frame[name])}
    with drawn:
        _chart(frame.assign(**{name: column.astype("float64[pyarrow]") for name, column in decimals.items()}))
    with st.container(horizontal=True, vertical_alignment="center"):
        exact = {name: column.astype(object).map(formats.exact) for name, column in decimals.items()}
        download(frame.assign(**exact), "Download as CSV", "query.csv", "query-download")
        more = "The first " if answer.cut else ""
        st.caption(f"{more}{formats.count(len(frame), 'row')}, in {answer.seconds:.2f} s. Times are in UTC.")


def _is_decimal(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_decimal(column.dtype.pyarrow_dtype)


def _chart(frame: pd.DataFrame) -> None:
    groups, measures = roles(frame)
    if not measures:
        st.info("A chart needs a column of numbers: add up or count something.")
        return
    columns = [*map(str, frame)]
    numbers = [name for name in columns if is_number(frame[name])]
    with st.container(horizontal=True):  # what was chosen is kept while the columns are the same
        by = st.multiselect("x", columns, default=groups[:3], key=f"query-x {columns}", width=320)
        chosen = st.multiselect("y", numbers, default=measures[:3], key=f"query-y {columns}", width=320)
        kinds = {"Bars": frame_chart, "Lines": line_chart}
        kind = st.segmented_control("Kind", kinds, default="Bars", key="query-kind", required=True)
    if chosen:
        if not by:
            by, frame = [ROW], frame.assign(**{ROW: range(1, len(frame) + 1)})
        chart = kinds[kind](frame, by, chosen)
        described = f"{', '.join(chosen)} by {', '.join(by)}"
        st.echarts_chart(chart.options, height=chart.height, key="query-chart", alt=described)
        st.caption(formats.plain(chart.note))
