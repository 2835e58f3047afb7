"""Reports: what went wrong in a number of logs, counted by Spark and written down as files and a page."""
