"""The open problem: what to do about it, and the lines of the file around it, with the value marked."""

from html import escape

import streamlit as st

from dashboard.rejects import export
from dashboard.rejects.excerpt import (
    Excerpt,
    cell,
    cells_of,
    has_lines,
    is_json_lines,
    is_table,
    json_value,
    read_excerpt,
)
from dashboard.rejects.remedies import remedy
from dashboard.shared import formats
from dashboard.shared.file_format import UNKNOWN, Format
from dashboard.shared.published import BY_URL, Published
from dashboard.shared.rejected import MENDED, STATE
from dashboard.shared.selection import Row, close_button

MAX_LINES = 20  # of one record that are shown
STYLE = "overflow-x:auto; margin:0; font-size:0.85rem; line-height:1.6"
NUMBER = "opacity:0.5; user-select:none; display:inline-block; min-width:3.5em; text-align:right; padding-right:1em"
MARK = "background:#f6c453; color:#1c2b33; border-radius:3px; padding:0 2px"


@st.cache_data(ttl=30, max_entries=20, show_spinner=False, hash_funcs=BY_URL)
def _excerpt(published: Published, key: str, line: int | None, lines: int, format_: Format) -> Excerpt:
    return read_excerpt(published.store, key, line, lines, format_)


def show(problem: Row, published: Published) -> None:
    """Draw the open problem."""
    key, line = problem["source_key"], problem["line"]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        mended = " :green-badge[mended]" if problem.get(STATE) == MENDED else ""
        st.markdown(f"**{formats.plain(key)}**" + (f", line {line}" if line else "") + _badges(problem) + mended)
        close_button("reject")
    st.markdown(
        f"{formats.plain(problem['message'] or '')}  \n**What to do:** {formats.plain(remedy(problem['rule']))}"
    )
    if has_lines(key):
        _show_lines(problem, published)
    else:
        _show_row(problem)
    if is_table(key) and line:
        summary = published.summary(problem["dataset"] or "")
        export.show(key, published, summary.format if summary else UNKNOWN)


def _show_row(problem: Row) -> None:
    """Draw the row of a file that has no lines of text, as far as the problem has it."""
    if not problem["line"]:
        st.caption(
            "The file is no text, so there are no lines to show. Download it, and open it in a spreadsheet program."
        )
        return
    cells = cells_of(problem["raw"] or "")
    bad = cells.index(problem["value"]) if problem["value"] in cells else None
    shown = [
        f'<mark style="{MARK}">{escape(text)}</mark>' if place == bad else escape(text)
        for place, text in enumerate(cells)
    ]
    number = f'<span style="{NUMBER}">{problem["line"]}</span>'
    st.html(f'<pre style="{STYLE}">{number}{" │ ".join(shown)}</pre>')
    st.caption(f"The cells of row {problem['line']}. The file is no text: open it to see the rows around.")


def _show_lines(problem: Row, published: Published) -> None:
    key, line, lines = problem["source_key"], problem["line"], _lines(problem)
    try:
        summary = published.summary(problem["dataset"] or "")
        format_ = (summary.format if summary else UNKNOWN).of_file(key)
        excerpt = _excerpt(published, key, line and int(line), lines, format_)
    except FileNotFoundError:
        st.info("The file is no longer there.")
    except (OSError, ValueError) as error:
        st.info(f"The lines around it cannot be shown: {formats.plain(str(error))}.")
    else:
        st.html(f'<pre style="{STYLE}">{_html(excerpt, problem, lines, format_)}</pre>')
        if format_.delimiter and not is_json_lines(key):
            st.caption(_contract(problem["dataset"], format_))
        if _is_newer(excerpt, key, published):
            st.caption("The file was changed since then: these are its lines now.")
        elif line:
            export.show(key, published, format_)


def _badges(problem: Row) -> str:
    words = [problem["column"], problem["rule"]]
    return "".join(f" :gray-badge[{formats.plain(word)}]" for word in words if word)


def _lines(problem: Row) -> int:
    if is_json_lines(problem["source_key"]):
        return 1
    return min(MAX_LINES, str(problem["raw"] or "").replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1)


def _contract(dataset: str, format_: Format) -> str:
    """Return a caption with the file format in the contract, with which any advice must agree."""
    delimiter = {"\t": "a tab", " ": "a space"}.get(format_.delimiter, formats.plain(format_.delimiter))
    return (
        f"The contract of {formats.plain(dataset)}: encoding {formats.plain(format_.encoding)}, delimiter {delimiter}, "
        f"quote {formats.plain(format_.quote)}"
    )


def _html(excerpt: Excerpt, problem: Row, lines: int, format_: Format) -> str:
    # Of the problems of a whole file, only that of its header has a line.
    first = int(problem["line"] or (problem["rule"] == "header"))
    rows = []
    for number, line in excerpt.lines.items():
        bad = 0 < first <= number < first + lines
        text = _marked(excerpt, problem, line, format_, whole=lines > 1) if bad else escape(line)
        rows.append(f'<span style="{NUMBER}">{number}</span>{text}')
    return "\n".join(rows)


def _marked(excerpt: Excerpt, problem: Row, line: str, format_: Format, *, whole: bool) -> str:
    """Return a line with its bad value marked, or all of it if the problem is not that of one value."""
    column, found = problem["column"], None
    if column and not whole:
        in_json = is_json_lines(problem["source_key"])
        found = json_value(line, column, format_) if in_json else cell(line, excerpt.header, column, format_)
    start, end = found or (0, len(line))
    value = escape(line[start:end]) or "&nbsp;"
    return f'{escape(line[:start])}<mark style="{MARK}">{value}</mark>{escape(line[end:])}'


def _is_newer(excerpt: Excerpt, key: str, published: Published) -> bool:
    loads = published.loads()
    etags = [] if loads is None else loads.loc[loads["source_key"] == key, "etag"].tolist()
    return bool(etags) and etags[0] != excerpt.etag
