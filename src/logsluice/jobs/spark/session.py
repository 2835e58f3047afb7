"""Starts Spark: on this machine by default, elsewhere where ``spark-submit`` says so."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import structlog

from logsluice.errors import LogsluiceError
from logsluice.jvm.jars import jar_paths
from logsluice.jvm.java import spark_home, system_java

if TYPE_CHECKING:
    from py4j.java_gateway import JavaGateway
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

TASK_ATTEMPTS = 4
"""Times a task is tried. A plain ``local[*]`` tries once, so that one killed Python worker would end the
job."""

BATCH_ROWS = 8_000
"""Rows of an Arrow batch at most."""

BATCH_BYTES = 4 << 20
"""Bytes of an Arrow batch at most, about: bounds a Python worker's memory when lines are long."""

_DEFAULTS = {
    "spark.master": f"local[*, {TASK_ATTEMPTS}]",
    "spark.driver.memory": "640m",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_ROWS),
    "spark.sql.execution.arrow.maxBytesPerBatch": str(BATCH_BYTES),
    "spark.sql.streaming.numRecentProgressUpdates": "10",
    "spark.python.worker.reuse": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # A worker is one thread of Spark's; more threads inside it would only fight for the same cores.
    "spark.executorEnv.POLARS_MAX_THREADS": "1",
    "spark.executorEnv.OMP_NUM_THREADS": "1",
    # glibc's allocator with one arena gives memory back, which keeps a worker small between large batches.
    "spark.executorEnv.ARROW_DEFAULT_MEMORY_POOL": "system",
    "spark.executorEnv.MALLOC_ARENA_MAX": "1",
}
_LOCAL = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
# Serial collection: the JVM only moves bytes here, and the cores belong to the workers.
_JVM_OPTIONS = "-XX:+UseSerialGC -XX:MaxMetaspaceSize=256m -XX:ReservedCodeCacheSize=96m"
_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
_SUBMITTED = "PYSPARK_GATEWAY_PORT"
_LOG_BYTES = 10 << 20

log = structlog.get_logger(__name__)


@contextmanager
def spark_context(
    name: str, *, log_file: Path, jars: Sequence[Path] = (), conf: Mapping[str, str] | None = None
) -> Iterator[SparkContext]:
    """Spark for the length of a ``with`` block.

    Started by ``spark-submit``, its configuration wins over every default here, and the jars are its own
    matter. Started as a plain Python program, Spark runs inside this process's children; when this process
    dies, however it dies, they die with it.

    Args:
        log_file: Where what the JVM prints goes when Spark runs here. Lines that our own workers log are
            passed on to this process's log.

    Raises:
        LogsluiceError: There is no Java, or an unsuitable one, or Spark does not start.
    """
    from pyspark import SparkConf, SparkContext

    on_interrupt = signal.getsignal(signal.SIGINT)
    submitted = _SUBMITTED in os.environ
    wanted = _DEFAULTS | dict(conf or {}) | {"spark.app.name": name}
    if submitted:
        # Before this, a SparkConf knows nothing of what was submitted.
        SparkContext._ensure_initialized()
        conf_given = SparkConf()
        for key, value in wanted.items():
            conf_given.setIfMissing(key, value)
        _make_event_folder(conf_given)
        context = SparkContext(conf=conf_given)
        context.setLogLevel("WARN")
    else:
        if jars:
            wanted["spark.jars"] = ",".join(str(jar) for jar in jars)
        if wanted["spark.master"].startswith("local"):
            wanted |= _LOCAL
            os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        further = wanted.get(_JAVA_OPTIONS, "")
        log4j = Path(__file__).with_name("log4j2.properties").as_uri()
        wanted[_JAVA_OPTIONS] = f"{_JVM_OPTIONS} -Dlog4j2.configurationFile={log4j} {further}"
        gateway = _gateway(tuple(wanted.items()), log_file)
        context = SparkContext(gateway=gateway, conf=SparkConf(loadDefaults=False).setAll(wanted.items()))
    if threading.current_thread() is threading.main_thread():
        # Spark takes Ctrl-C for itself.
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield context
    finally:
        context.stop()


@contextmanager
def spark_session(
    name: str, *, log_file: Path, jars: Sequence[Path] = (), conf: Mapping[str, str] | None = None
) -> Iterator[SparkSession]:
    """Spark SQL for the length of a ``with`` block; see :func:`spark_context`."""
    from pyspark.sql import SparkSession

    with spark_context(name, log_file=log_file, jars=jars, conf=conf) as context:
        yield SparkSession(context)


def _make_event_folder(conf: SparkConf) -> None:
    """Make the folder of the event log where there is to be one: without it Spark does not start.

    Source: Spark 4.2.0, org.apache.spark.deploy.history.EventLogFileWriter.requireLogBaseDirAsDirectory.

    Raises:
        LogsluiceError: The file system refuses.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark import SparkContext

    folder = conf.get("spark.eventLog.dir")
    if conf.get("spark.eventLog.enabled", "false") != "true" or not folder:
        return
    jvm = SparkContext._jvm
    assert jvm is not None
    try:
        path = jvm.org.apache.hadoop.fs.Path(folder)
        path.getFileSystem(jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(conf._jconf)).mkdirs(path)
    except Py4JJavaError as error:
        why = str(error.java_exception).splitlines()[0][:300]
        hint = "let spark.eventLog.dir name a folder that this job may write to"
        raise LogsluiceError("the folder of the event log cannot be made", where=folder, why=why, hint=hint) from None


def kafka_jars() -> list[Path]:
    """Spark's Kafka connector, fetched where it is not in the cache yet; none where Spark has it already.

    Raises:
        LogsluiceError: It cannot be fetched.
    """
    home = Path(os.environ.get("SPARK_HOME") or spark_home())
    included = any((home / "jars").glob("spark-sql-kafka-0-10_*.jar"))
    return [] if included or _SUBMITTED in os.environ else jar_paths("spark-kafka")


@cache
def _gateway(wanted: tuple[tuple[str, str], ...], log_file: Path) -> JavaGateway:
    """A JVM for this process; the same one again for the same configuration.

    Its standard streams end in a pipe of ours, so that nothing of Spark's reaches a user's terminal.
    """
    from pyspark import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    system_java()
    reading, writing = os.pipe()
    passing = threading.Thread(target=_pass_on, args=(reading, log_file), name="spark-log", daemon=True)
    passing.start()
    conf = SparkConf(loadDefaults=False).setAll(wanted)
    try:
        return launch_gateway(conf, {"stdout": writing, "stderr": writing})
    except PySparkRuntimeError:
        pass
    finally:
        os.close(writing)
    passing.join(timeout=5)
    output = [line for line in log_file.read_text(errors="replace").splitlines() if line.strip()]
    raise LogsluiceError("Spark does not start", where=str(log_file), why=output[-1][:300] if output else None)


def _pass_on(reading: int, log_file: Path) -> None:
    """Sort what the JVM and the workers print: our own log lines go to our log, the rest to a file."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    if log_file.exists() and log_file.stat().st_size > _LOG_BYTES:
        log_file.replace(log_file.with_suffix(f"{log_file.suffix}.1"))
    with os.fdopen(reading, "rb") as lines, log_file.open("ab", buffering=0) as file:
        for line in lines:
            if not (line.startswith(b'{"@timestamp"') and _logged(line)):
                file.write(line)


def _logged(line: bytes) -> bool:
    try:
        event = orjson.loads(line)
        level, message = event["log.level"], event["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False
    ours = ("@timestamp", "log.level", "message", "service.name")
    say = getattr(log, level, log.info)
    say(message, **{key: value for key, value in event.items() if key not in ours})
    return True
