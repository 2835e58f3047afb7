"""Alerts: rules over the one-minute windows, what they find, and whom they tell.

One way: ``rules`` and ``windows`` ← ``thresholds``, ``baseline`` ← ``conditions`` (a rule and the windows in, what it
sees in a minute out) ← ``states`` and ``judging`` (minutes in, opened and resolved alerts out) ← ``reading``,
``outputs`` ← ``running``. Everything up to ``judging`` is a pure function of windows, so that the same windows give the
same alerts live, after a restart, and when rules are tried on history.
"""
