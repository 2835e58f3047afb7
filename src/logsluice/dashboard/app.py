"""What Streamlit runs."""

from logsluice.dashboard.page import draw

draw()
