"""Query: SQL over the loaded, rejected and published data, and nothing else."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboard.query.client import Answer, QueryRunner, known_views, schemas
from dashboard.query.colours import coloured_chart
from dashboard.query.examples import examples
from dashboard.query.sandbox import NOTE, QueryError
from dashboard.query.tables import Version, has_table, versions
from dashboard.shared import formats, notices
from dashboard.shared.charts import MAX_BARS, MAX_POINTS, frame_chart, line_chart, roles
from dashboard.shared.failures import one_sentence
from dashboard.shared.published import BY_URL, Published, UnreadableError
from dashboard.shared.tables import download, table
from lake.status import Status

HEIGHT = 200  # pixels of the editor and of the list of columns beside it
READY = "ready"
KINDS = {"Bars": (frame_chart, MAX_BARS), "Lines": (line_chart, MAX_POINTS)}  # and how many places each has along x
ROW = "row of the result"  # on the x axis if no column is chosen
AS_OF = ["now", "a version", "a time"]
MAX_VERSIONS = 200  # that are offered, the newest
TIME = "%Y-%m-%d %H:%M:%S"
FRESH = 10  # seconds for which the list of columns is kept
MONOSPACE = "<style>.st-key-query-sql textarea { font-family: monospace }</style>"


@st.cache_resource(show_spinner=False)
def _runner(url: str) -> QueryRunner:
    return QueryRunner(url)


@st.cache_data(ttl=FRESH, max_entries=1, show_spinner=False, hash_funcs=BY_URL)
def _schemas(published: Published, views: dict[str, str]) -> dict[str, pa.Schema]:
    return schemas(published.store, views)


@st.cache_data(ttl=FRESH, max_entries=8, show_spinner=False, hash_funcs=BY_URL)
def _versions(published: Published, prefix: str) -> list[Version]:
    return versions(published.store, prefix, MAX_VERSIONS)


def _read(published: Published, status: Status) -> tuple[dict[str, str], dict[str, pa.Schema]]:
    views, listed = known_views(status.datasets)
    known = _schemas(published, listed)
    if not known:
        _schemas.clear()  # the first file may come at any moment
    return views, known


def show(published: Published) -> None:
    """Draw the page.

    The result comes first, before anything that takes time: at the start of a run Streamlit forgets the files of the
    page's downloads, and the end of any visitor's run may delete them. So a query runs while the last result is there.
    """
    st.html(MONOSPACE)
    query, result = st.container(), st.container()
    with result:
        _result(st.session_state.get("query-result"))
    with query:
        if _ask(published):
            st.rerun()


def _ask(published: Published) -> bool:
    """Draw the editor and what can be queried; return whether a query ran, whose result is to be drawn."""
    latest = notices.latest(published, "query", _read)
    views, known = latest[1] if latest else ({}, {})
    state = notices.failure("query") or _state_of(latest and latest[0], known)
    if state != READY:
        _wait(published, state)
    if not known:
        if latest:
            notices.no_files()
        return False
    runner = _runner(published.store.url)
    runner.warm()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        now, at = _as_of(published, {name: views[name] for name in known if has_table(views[name])})
        submitted = _editor(examples(known))
    with right:
        _columns(known)
    if not submitted or not (now or at):
        if "query-result" not in st.session_state:
            st.caption("Run a query to see its rows here.")
        return False
    with st.spinner("Running", show_time=True):
        st.session_state["query-result"] = _run(runner, views, at)
    return True


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
    # The button has the shortcut; with that of the form, which is the same, each press would run the page twice.
    with st.form("query-form", border=False, enter_to_submit=False):
        st.text_area("SQL", key="query-sql", height=HEIGHT, help="One query, in DuckDB's SQL. Times are in UTC.")
        return st.form_submit_button("Run", type="primary", icon=":material/play_arrow:", shortcut="Mod+Enter")


def _as_of(published: Published, tables: Mapping[str, str]) -> tuple[bool, datetime | None]:
    """Draw the choice of the time as of which a query reads; return whether that is now, and else the time."""
    at = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control("As of", AS_OF, default=AS_OF[0], key="query-as-of", required=True)
        if kind == "a time":
            st.session_state.setdefault("query-time", datetime.now(UTC).replace(tzinfo=None, second=0, microsecond=0))
            chosen = st.datetime_input("UTC", key="query-time", width=240, step=60)
            at = chosen and chosen.replace(tzinfo=UTC)
        if kind == "a version" and tables:
            view = st.selectbox("of", tables, key="query-version-of", width=220)
            known = {f"{one.number} · {one.at:{TIME}}": one.at for one in _versions(published, tables[view])}
            at = known.get(st.selectbox("version", known, key=f"query-version {view}", width=280))
    now = kind == AS_OF[0]
    if not (now or at):
        st.info("There is no version to read: choose another view or time, or now.", icon=":material/history:")
    return now, at


def _columns(schemas: Mapping[str, pa.Schema]) -> None:
    rows = [(view, field.name, str(field.type)) for view, schema in schemas.items() for field in schema]
    sought = st.text_input("Views and their columns", placeholder="find a view, column or type", key="query-find")
    shown = [row for row in rows if sought.lower() in " ".join(row).lower()]
    table(pd.DataFrame(shown, columns=["view", "column", "type"]), "query-schema", height=HEIGHT + 40)
    for view, schema in schemas.items():
        if NOTE in (schema.metadata or {}):
            st.warning(f"**{formats.plain(view)}:** {schema.metadata[NOTE].decode()}", icon=":material/history:")
    st.caption(
        "`clean_…` has the good rows, `rejected_…` the problems of the other records, `published_…` the sums. "
        "A query reads the views that it names; `SHOW TABLES` lists the views shown here."
    )


def _run(runner: QueryRunner, views: Mapping[str, str], at: datetime | None) -> Answer | str:
    line = st.empty()

    def watch(before: int) -> None:
        # Streamlit ends this run in this call, if the visitor has left or submitted another query.
        line.caption(f"Waiting: {formats.count(before, 'query', 'queries')} before you." if before else "")

    try:
        result: Answer | str = runner.run(views, st.session_state["query-sql"], watch, at)
    except QueryError as error:
        result = str(error)
    line.empty()
    return result


@one_sentence  # so that there is an editor, whatever is wrong with the result
def _result(result: Answer | str | None) -> None:
    if isinstance(result, str):
        st.error("**The query gave no result.**", icon=":material/error:")
        st.code(result, language=None)
    elif result:
        if result.note:
            st.info(result.note, icon=":material/history:")
        _rows(result)


def _rows(answer: Answer) -> None:
    frame = answer.frame
    as_of = f" as of {answer.at:{TIME}}" if answer.at else ""
    if frame.empty:
        st.info(f"The query ran and found no rows{as_of}.", icon=":material/search_off:")
        return
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
        st.caption(f"{first}{formats.count(len(frame), 'row')}{as_of}, in {answer.seconds:.2f} s. Times are in UTC.")


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
        by = st.multiselect("x", columns, default=groups[:3], key=f"query-x {columns}", width=280)
        chosen = st.multiselect("y", numbers, default=measures[:3], key=f"query-y {columns}", width=280)
        colour = st.selectbox("Colour", columns, index=None, key=f"query-colour {columns}", width=180, placeholder="y")
        kind = st.segmented_control("Kind", KINDS, default="Bars", key="query-kind", required=True)
    if not chosen:
        return
    if not by:
        by, frame = [ROW], frame.assign(**{ROW: range(1, len(frame) + 1)})
    draw, most = KINDS[kind]
    chart = coloured_chart(draw, frame, by, chosen, colour, most) if colour else draw(frame, by, chosen)
    alt = f"{', '.join(chosen)} by {', '.join([*by, *filter(None, [colour])])}"
    st.echarts_chart(chart.options, height=chart.height, key="query-chart", alt=alt)
    st.caption(formats.plain(chart.note))
