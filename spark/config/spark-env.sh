# Sourced by Spark's own scripts, for every daemon and every submission. What the container is given wins.
export SPARK_NO_DAEMONIZE=1
# The name under which the master is reached, and which it binds to.
export SPARK_MASTER_HOST="${SPARK_MASTER_HOST:-spark-master}"
# What a worker offers: one executor of spark-defaults.conf.
export SPARK_WORKER_CORES="${SPARK_WORKER_CORES:-1}"
export SPARK_WORKER_MEMORY="${SPARK_WORKER_MEMORY:-512m}"
export SPARK_WORKER_WEBUI_PORT="${SPARK_WORKER_WEBUI_PORT:-8081}"
# Heap of master, worker and history server themselves.
export SPARK_DAEMON_MEMORY="${SPARK_DAEMON_MEMORY:-192m}"
export SPARK_DAEMON_JAVA_OPTS="${SPARK_DAEMON_JAVA_OPTS:--XX:+UseSerialGC -XX:MaxMetaspaceSize=128m -XX:ReservedCodeCacheSize=48m}"
# Work goes where it may: the root file system is read-only.
export SPARK_WORKER_DIR="${SPARK_WORKER_DIR:-/tmp/spark-work}"
export SPARK_LOCAL_DIRS="${SPARK_LOCAL_DIRS:-/tmp}"
# What master, workers and drivers prove to each other; executors get it of their worker. In the environment, because
# command lines can be read by others. Spark itself looks for it under this name (core's SecurityManager, ENV_AUTH_SECRET).
if [ -n "${SPARK_AUTH_SECRET_FILE:-}" ]; then
  _SPARK_AUTH_SECRET=$(cat "$SPARK_AUTH_SECRET_FILE") || exit 1
  export _SPARK_AUTH_SECRET
fi
