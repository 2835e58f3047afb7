"""The page that an on-call engineer keeps open: what goes wrong, since when, where.

``filters`` (what is asked, as it stands in the URL) ← ``queries`` (requests and the tables in their answers, pure)
← ``reading``, ``reports``, ``lag`` (where the tables come from) ← ``charts``, ``page`` (Streamlit). Nothing here
starts Spark.
"""
