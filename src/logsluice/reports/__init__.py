"""Reports: the errors in a number of logs, counted by Spark and written as files and a page."""
