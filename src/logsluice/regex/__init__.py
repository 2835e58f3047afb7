"""Regular expressions on several engines: one of them exactly and bounded in time, many of them in one pass."""
