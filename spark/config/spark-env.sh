# Sourced by Spark's own scripts. Logs go to standard output, where containers have them; work goes where it may.
export SPARK_NO_DAEMONIZE=1
export SPARK_WORKER_DIR="${SPARK_WORKER_DIR:-/tmp/spark-work}"
export SPARK_LOCAL_DIRS="${SPARK_LOCAL_DIRS:-/tmp}"
