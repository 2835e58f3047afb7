"""The jobs that run for good or once: Spark's, and the plain consumers."""
