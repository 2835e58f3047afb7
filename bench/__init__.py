"""How fast logsluice is, beside the ways there are without it; see README.md in this folder."""
