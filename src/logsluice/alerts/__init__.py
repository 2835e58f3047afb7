"""Alerts: rules over the one-minute windows, evaluated every minute; who is notified of what they find.

Imports go one way: ``rules``, ``windows`` ← ``thresholds``, ``baseline``, ``error_classes`` ← ``conditions`` (a rule
and the windows in, what it detects in a minute out) ← ``states``, ``evaluator`` (minutes in, opened and resolved alerts
out) ← ``documents``, ``store`` ← ``queries``, ``snapshot_loader``, ``outputs`` ← ``backtest``, ``job``. Everything up
to ``evaluator`` is a pure function of windows, so that the same windows give the same alerts live, after a restart, and
in a backtest.
"""
