"""Query: SQL over the loaded, rejected and published data, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard.query.client import Answer, QueryRunner, examples, known_views, schemas
from dashboard.query.sandbox import NOTE, QueryError
from dashboard.shared import formats, notices
from dashboard.shared.charts import frame_chart, line_chart, roles
from dashboard.shared.published import BY_URL, Published, UnreadableError
from dashboard.shared.tables import download, table
from lake.status import Status

HEIGHT = 200  # pixels of the editor and of the list of columns beside it
READY = "ready"
ROW = "row of the result"  # on the x axis if no column is chosen
FRESH = 10  # seconds for which the list of columns is kept
MONOSPACE = "<style>.st-key-query-sql textarea { font-family: monospace }</style>"


@st.cache_resource(show_spinner=False)
def _runner(url: str) -> QueryRunner:
    return QueryRunner(url)


@st.cache_data(ttl=FRESH, max_entries=1, show_spinner=False, hash_funcs=BY_URL)
def _schemas(published: Published, views: dict[str, str]) -> dict[str, pa.Schema]:
    return schemas(published.store, views)


def _read(published: Published, status: Status) -> tuple[dict[str, str], dict[str, pa.Schema]]:
    views, listed = known_views(status.datasets)
    known = _schemas(published, listed)
    if not known:
        _schemas.clear()  # the first file may come at any moment
    return views, known


def show(published: Published) -> None:
    """Draw the page."""
    st.html(MONOSPACE)
    latest = notices.latest(published, "query", _read)
    views, known = latest[1] if latest else ({}, {})
    state = notices.failure("query") or _state_of(latest and latest[0], known)
    if state != READY:
        _wait(published, state)
    if not known:
        if latest:
            notices.no_files()
        return
    runner = _runner(published.store.url)
    runner.warm()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        submitted = _editor(examples(known))
    with right:
        _columns(known)
    if submitted:
        with st.spinner("Running", show_time=True):
            st.session_state["query-result"] = _run(runner, views)
    _result(st.session_state.get("query-result"))


def _state_of(status: Status | None, known: Mapping[str, pa.Schema]) -> str:
    return READY if known else "no files" if status else "nothing published"


@st.fragment(run_every=0.5, key="query-wait")
def _wait(published: Published, state: str) -> None:
    """Draw the page again as soon as its state changes; a page that is ready stands still."""
    try:
        status = published.status()
        now = _state_of(status, _read(published, status)[1] if status else {})
    except (OSError, UnreadableError) as error:
        now = type(error).__name__
    if now != state:
        st.rerun()


def _editor(queries: dict[str, str]) -> bool:
    def start() -> None:
        st.session_state["query-sql"] = queries.get(st.session_state["query-example"], "")

    st.session_state.setdefault("query-sql", next(iter(queries.values()), "SELECT 1"))
    st.selectbox("Start from", queries, key="query-example", on_change=start, index=None, placeholder="an example")
    with st.form("query-form", border=False):
        st.text_area("SQL", key="query-sql", height=HEIGHT, help="One query, in DuckDB's SQL. Times are in UTC.")
        return st.form_submit_button("Run", type="primary", icon=":material/play_arrow:", shortcut="Mod+Enter")


def _columns(schemas: Mapping[str, pa.Schema]) -> None:
    rows = [(view, field.name, str(field.type)) for view, schema in schemas.items() for field in schema]
    st.markdown("Views and their columns")
    table(pd.DataFrame(rows, columns=["view", "column", "type"]), "query-schema", height=HEIGHT + 80)
    for view, schema in schemas.items():
        if NOTE in (schema.metadata or {}):
            st.warning(f"**{formats.plain(view)}:** {schema.metadata[NOTE].decode()}", icon=":material/history:")
    st.caption(
        "`clean_…` has the good rows, `rejected_…` the problems of the other records, `published_…` the sums. "
        "A query reads the views that it names; `SHOW TABLES` lists the views shown here."
    )


def _run(runner: QueryRunner, views: Mapping[str, str]) -> Answer | str:
    line = st.empty()

    def watch(before: int) -> None:
        # Streamlit ends this run in this call, if the visitor has left or submitted another query.
        line.caption(f"Waiting: {formats.count(before, 'query', 'queries')} before you." if before else "")

    try:
        result: Answer | str = runner.run(views, st.session_state["query-sql"], watch)
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
        st.info("The query ran and found no rows.", icon=":material/search_off:")
    else:
        _rows(result)


def _rows(answer: Answer) -> None:
    frame = answer.frame
    if answer.note:
        st.info(answer.note, icon=":material/history:")
    table_tab, chart_tab = st.tabs(["Table", "Chart"], key="query-tabs")
    with table_tab:
        table(frame, "query-table")
    decimals = {str(name): frame[name] for name in frame if _is_decimal(frame[name])}
    with chart_tab:
        _chart(frame.assign(**{name: column.astype("float64[pyarrow]") for name, column in decimals.items()}))
    with st.container(horizontal=True, vertical_alignment="center"):
        exact = {name: column.astype(object).map(formats.exact) for name, column in decimals.items()}
        download(frame.assign(**exact), "Download as CSV", "query.csv", "query-download")
        first = "The first " if answer.cut else ""
        st.caption(f"{first}{formats.count(len(frame), 'row')}, in {answer.seconds:.2f} s. Times are in UTC.")


def _is_decimal(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_decimal(column.dtype.pyarrow_dtype)


def _chart(frame: pd.DataFrame) -> None:
    groups, measures = roles(frame)
    if not measures:
        st.info("A chart needs a column of numbers: sum or count something.")
        return
    columns = [*map(str, frame)]
    numbers = [name for name in columns if formats.is_number(frame[name])]
    with st.container(horizontal=True):  # a choice is kept while the columns are the same
        by = st.multiselect("x", columns, default=groups[:3], key=f"query-x {columns}", width=320)
        chosen = st.multiselect("y", numbers, default=measures[:3], key=f"query-y {columns}", width=320)
        kinds = {"Bars": frame_chart, "Lines": line_chart}
        kind = st.segmented_control("Kind", kinds, default="Bars", key="query-kind", required=True)
    if chosen:
        if not by:
            by, frame = [ROW], frame.assign(**{ROW: range(1, len(frame) + 1)})
        chart = kinds[kind](frame, by, chosen)
        alt = f"{', '.join(chosen)} by {', '.join(by)}"
        st.echarts_chart(chart.options, height=chart.height, key="query-chart", alt=alt)
        st.caption(formats.plain(chart.note))
