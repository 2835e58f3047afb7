"""What every Spark job shares: the session, queries that stay up, checkpoints, and files cut for workers."""
