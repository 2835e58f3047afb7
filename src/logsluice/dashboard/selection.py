"""The selected bar in the session's state: a click selects it; at most one is selected on the whole page."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import streamlit as st

from logsluice.dashboard import charts
from logsluice.dashboard.queries import Selection, SelectionKind

FIELDS: Final[dict[SelectionKind, str]] = {"time": "bar", "type": "error_type", "ip": "ip", "service": "service"}
"""What a bar of each chart stands for."""


def current_selection() -> Selection | None:
    """The bar that is selected."""
    selection: Selection | None = st.session_state.get("selection")
    return selection


def clear_selection() -> None:
    """Deselect the bar."""
    if selection := current_selection():
        st.session_state["selection"] = None
        _deselect(selection.kind)


def draw_clickable(kind: SelectionKind, chart: Any) -> None:
    """Draw a chart whose bars can be clicked."""
    key = f"{kind}-{st.session_state.get(f'drawn-{kind}', 0)}"
    st.altair_chart(chart, key=key, on_select=partial(_clicked, kind, key), selection_mode=charts.SELECTION_NAME)


def _clicked(kind: SelectionKind, key: str) -> None:
    chosen = st.session_state[key]["selection"].get(charts.SELECTION_NAME)
    if chosen:
        st.session_state["selection"] = Selection(kind, str(chosen[0][FIELDS[kind]]), chosen[0].get("level"))
        _deselect(*(other for other in FIELDS if other != kind))
    elif (selection := current_selection()) and selection.kind == kind:
        st.session_state["selection"] = None


def _deselect(*kinds: SelectionKind) -> None:
    # A chart under another name is a new one, with no bar selected.
    for kind in kinds:
        st.session_state[f"drawn-{kind}"] = st.session_state.get(f"drawn-{kind}", 0) + 1
