"""Entry script for ``streamlit run``."""

from logsluice.dashboard.page import draw

draw()
