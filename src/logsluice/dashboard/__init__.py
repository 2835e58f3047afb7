"""The dashboard, a Streamlit page for on-call engineers: errors, alerts and log lines.

Imports go one way: ``filters`` (parsed from the URL) ← ``queries``, ``tables`` (requests and the tables in their
answers, pure) ← ``loader``, ``reports``, ``consumer_lag`` (where the tables come from) ← ``charts``, ``markup``,
``selection``, ``panels``, ``page`` (Streamlit). Nothing here starts Spark.
"""
