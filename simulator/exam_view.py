"""The exam on the page: a seed, a button, how far it is, and in the end its grade with every mistake."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from simulator.examination import FILES, Examination, ExamState
from simulator.grade import Report

LIVE = 1.0  # seconds
WRITE = "Put the files of this seed into the lake. The grade comes by itself, once the pipeline is done with them."
GRADE = "Grade what is there of this seed, without waiting: what has no result yet is wrong."


def show(examination: Examination) -> None:
    """Show the buttons, outside of what refreshes itself, which could swallow a press; and below what came of it."""
    st.subheader("Exam")
    st.caption(f"{FILES} files with every kind of fault. What must come of each is known, so the result is graded.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Seed", 0, 2**31, 7, key="exam_seed", width=150, help="The same seed, the same exam.")
        for label, act, said in (("Write the exam", examination.write, WRITE), ("Grade now", examination.grade, GRADE)):
            st.button(label, key=label, on_click=_with_seed, args=(act,), help=said)
    _show_state(examination)


def _with_seed(act: Callable[[int], None]) -> None:
    act(int(st.session_state["exam_seed"]))  # as it stands at the press, not when the button was drawn


@st.fragment(run_every=LIVE, key="exam")
def _show_state(examination: Examination) -> None:
    state = examination.state
    if state.stage in ("writing", "waiting"):
        _show_progress(state)
    elif state.stage == "grading":
        st.progress(1.0, f"Grading the exam of seed {state.seed}")
    elif state.stage == "refused":
        st.error(
            f"The exam of seed {state.seed} came to an end: {state.error}. If the store refuses, start the stack again"
            " (`docker compose up`): that gives each user its rights anew."
        )
    elif state.report:
        _show_grade(state.seed, state.report)


def _show_progress(state: ExamState) -> None:
    if state.stage == "writing":
        said = f"Writing the exam of seed {state.seed}: {state.done} of {state.total} deliveries"
    else:
        said = f"{state.done} of {state.total} files have their result. When all have, the grade comes by itself."
    st.progress(state.done / max(1, state.total), said)


def _show_grade(seed: int, report: Report) -> None:
    whole, wrong = report.files.total(), len(report.mistakes)
    with st.container(horizontal=True):
        st.metric(f"Score of seed {seed}", f"{report.score:g} %", border=True)
        st.metric("Right", f"{whole - wrong} of {whole}", border=True)
    if wrong:
        rows = [(one.fault, one.key, one.message) for one in report.mistakes]
        st.dataframe(
            pd.DataFrame(rows, columns=["Fault", "Object", "What is wrong with it"]),
            hide_index=True,
            key="exam_mistakes",
        )
    else:
        st.success("All is right: rows, lines, rejects, rules and sums.", icon=":material/check_circle:")
    with st.expander(f"All {len(report.files)} kinds", key="exam_kinds"):
        kinds = [(kind, files, files - report.wrong[kind]) for kind, files in sorted(report.files.items())]
        st.dataframe(pd.DataFrame(kinds, columns=["Fault", "Files", "Right"]), hide_index=True, key="exam_table")
        for note in report.notes:
            st.caption(note)
