"""The Spark jobs: the same extraction over streams, over history and over files."""
