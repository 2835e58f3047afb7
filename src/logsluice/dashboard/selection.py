"""The bar that was clicked, in the session. At most one bar is selected on the whole page."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import streamlit as st

from logsluice.dashboard import charts
from logsluice.dashboard.queries import Pick, PickKind

FIELDS: Final[dict[PickKind, str]] = {"time": "bar", "type": "error_type", "ip": "ip", "service": "service"}
"""What a bar of each chart stands for."""


def current_pick() -> Pick | None:
    """The bar that was clicked."""
    pick: Pick | None = st.session_state.get("pick")
    return pick


def forget_pick() -> None:
    """Take the click back."""
    if pick := current_pick():
        st.session_state["pick"] = None
        _deselect(pick.kind)


def draw_clickable(kind: PickKind, chart: Any) -> None:
    """Draw a chart whose bars can be clicked."""
    key = f"{kind}-{st.session_state.get(f'drawn-{kind}', 0)}"
    st.altair_chart(chart, key=key, on_select=partial(_clicked, kind, key), selection_mode=charts.PICK)


def _clicked(kind: PickKind, key: str) -> None:
    chosen = st.session_state[key]["selection"].get(charts.PICK)
    if chosen:
        st.session_state["pick"] = Pick(kind, str(chosen[0][FIELDS[kind]]), chosen[0].get("level"))
        _deselect(*(other for other in FIELDS if other != kind))
    elif (pick := current_pick()) and pick.kind == kind:
        st.session_state["pick"] = None


def _deselect(*kinds: PickKind) -> None:
    # A chart under another name is a new one, with no bar selected.
    for kind in kinds:
        st.session_state[f"drawn-{kind}"] = st.session_state.get(f"drawn-{kind}", 0) + 1
