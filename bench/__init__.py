"""How fast logsluice is, beside the methods there are without it; see README.md in this folder."""
