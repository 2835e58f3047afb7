"""The way out: events, facts and counts, asked for over HTTP."""
