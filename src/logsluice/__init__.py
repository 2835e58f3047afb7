"""logsluice: regex-driven log analytics as code."""

__version__ = "0.1.0"
