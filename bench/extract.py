"""Facts out of a column of lines, in Spark: the usual methods beside logsluice's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from bench.lines import lines
from bench.measuring import ratio, side_by_side
from bench.report import Claim, Report
from logsluice.extract import INPUT_SCHEMA, Registry, documents, load_registry
from logsluice.extract.matching import ColumnMatcher
from logsluice.jobs.spark.extractor_spec import ExtractorSpec, extractor
from logsluice.patterns import Fact, Pattern, PatternRegistry

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SEEN_MS = 1_790_000_000_000

_SAMPLE = 5_000
_UDF, _NATIVE, _OURS = "Python UDF a pattern", "Spark's regexp_extract", "logsluice, one pass"

Method = Callable[["DataFrame"], "DataFrame"]


def run(spark: SparkSession, count: int, repeat: int, log: Callable[[str], None]) -> Report:
    """The 14 shipped patterns on 200-byte lines, by each method to the same columns of text.

    Raises:
        AssertionError: The methods do not give the same answers.
    """
    registry = load_registry()
    patterns = registry.patterns.patterns
    methods = {
        _UDF: python_udfs(patterns),
        _NATIVE: spark_functions(patterns),
        _OURS: one_pass(patterns),
        "into Python and back alone": identity(),
        "logsluice, whole extraction": whole_extraction(registry),
    }
    frame = frame_of_lines(spark, count)
    values = assert_same_answers({name: methods[name] for name in (_UDF, _NATIVE, _OURS)}, frame.limit(_SAMPLE))
    report = Report(f"{len(patterns)} patterns on {count:,} lines of 200 bytes, Spark local[2]", "CPU second")
    report.samples = side_by_side(writing(methods, frame), count, repeat, log)
    for name in (_UDF, _NATIVE):
        report.claims.append(Claim(f"{_OURS} / {name}", ratio(report.rates(_OURS), report.rates(name)), 4))
    report.notes.append(f"The first three gave the same answers: {values:,} values in a sample of the lines.")
    frame.unpersist()
    return report


def run_more_patterns(spark: SparkSession, count: int, repeat: int, log: Callable[[str], None]) -> Report:
    """The cost of 14, 28 and 56 patterns."""
    registry = load_registry()
    shipped = registry.patterns.patterns
    frame = frame_of_lines(spark, count)
    methods: dict[str, Method] = {}
    for times in (1, 2, 4):
        more = PatternRegistry(1, tuple(copied(pattern, copy) for copy in range(times) for pattern in shipped))
        methods[f"{len(more.patterns)} patterns"] = one_pass(more.patterns)
        methods[f"{len(more.patterns)}, whole extraction"] = whole_extraction(Registry(registry.formats, more))
    report = Report(f"More patterns on {count:,} lines of 200 bytes, Spark local[2]", "CPU second")
    report.samples = side_by_side(writing(methods, frame), count, repeat, log)
    (first, *others) = [name for name in methods if name.endswith("patterns")]
    for name in others:
        report.claims.append(Claim(f"cost of {name} / {first}", ratio(report.rates(first), report.rates(name))))
    frame.unpersist()
    return report


def writing(methods: Mapping[str, Method], frame: DataFrame) -> dict[str, Callable[[], None]]:
    """Each method on a frame, to its end."""
    return {name: partial(_write, method, frame) for name, method in methods.items()}


def _write(method: Method, frame: DataFrame) -> None:
    write_nowhere(method(frame))


def copied(pattern: Pattern, copy: int) -> Pattern:
    """A pattern that does the same under another name and as another expression; the first is itself."""
    if not copy:
        return pattern
    source = pattern.regex.removeprefix("(?a)")
    for _ in range(copy):
        source = f"(?:{source})"
    return pattern.model_copy(
        update={
            "name": f"{pattern.name}_{copy}",
            "regex": f"(?a){source}",
            "fields": {
                group: Fact(field=f"labels.{pattern.name}_{group}_{copy}", type="keyword") for group in pattern.fields
            },
        }
    )


def frame_of_lines(spark: SparkSession, count: int) -> DataFrame:
    """The lines as a cached frame of one column ``message``, a partition a core."""
    table = pa.table({"message": pa.array(lines(count), pa.string())})
    frame = spark.createDataFrame(table).repartition(spark.sparkContext.defaultParallelism).cache()
    frame.count()
    return frame


def python_udfs(patterns: Sequence[Pattern]) -> Method:
    """A Python function for each pattern, as it is usually done."""
    from pyspark.sql.functions import udf

    def finder(regex: re.Pattern[str]) -> Callable[[str], str | None]:
        return lambda text: (match := regex.search(text)) and match[match.lastindex or 0]

    finders = {pattern.name: udf(finder(pattern.compiled.python), "string") for pattern in patterns}
    return lambda frame: frame.select(*(find("message").alias(name) for name, find in finders.items()))


def spark_functions(patterns: Sequence[Pattern]) -> Method:
    """Spark's own ``regexp_extract``; its empty string for "no match" becomes null, as the others have it."""
    from pyspark.sql import Column
    from pyspark.sql.functions import coalesce, col, lit, nullif, regexp_extract

    def found(pattern: Pattern) -> Column:
        regex = java_regex(pattern.regex)
        groups = range(1, len(pattern.compiled.groups) + 1)
        return coalesce(*(nullif(regexp_extract(col("message"), regex, group), lit("")) for group in groups))

    return lambda frame: frame.select(*(found(pattern).alias(pattern.name) for pattern in patterns))


def java_regex(source: str) -> str:
    r"""The shipped patterns in Java's syntax, where ``\b``, ``\s`` and ``\w`` are ASCII's already."""
    return re.sub(r"\(\?P<[a-z]+>", "(", source.removeprefix("(?a)")).replace(r"\Z", r"\z")


def one_pass(patterns: Sequence[Pattern]) -> Method:
    """The part of logsluice's fast engine that finds patterns: one pass over Arrow batches."""
    schema = ", ".join(f"`{pattern.name}` string" for pattern in patterns)
    return lambda frame: frame.mapInArrow(partial(_find_texts, patterns=patterns), schema)


def _find_texts(batches: Iterable[pa.RecordBatch], patterns: Sequence[Pattern]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(pattern.name, pa.string()) for pattern in patterns])
    for batch in batches:
        messages = pl.Series(batch["message"])
        rows = pl.int_range(len(messages), dtype=pl.UInt32, eager=True)
        matcher = ColumnMatcher()
        columns = []
        for pattern in patterns:
            first, *others = matcher.groups(pattern.compiled, messages, rows).values()
            for other in others:
                first = first.zip_with(first.is_not_null(), other)
            columns.append(first.to_arrow().cast(pa.string()))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def identity() -> Method:
    """The way into Python and back alone."""
    return lambda frame: frame.mapInArrow(_unchanged, "message string")


def _unchanged(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def whole_extraction(registry: Registry) -> Method:
    """All that logsluice does to a line: format, header, facts, types, and the document as JSON."""
    extractor_spec = ExtractorSpec.of(registry, "UTC")
    return lambda frame: frame.mapInArrow(partial(_extract, extractor_spec=extractor_spec), "document binary")


def _extract(batches: Iterable[pa.RecordBatch], extractor_spec: ExtractorSpec) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        count = batch.num_rows
        nothing = [None] * count
        values = batch["message"].cast(pa.binary())
        given = pa.record_batch([values, [SEEN_MS] * count, nothing, nothing], schema=INPUT_SCHEMA)
        yield pa.record_batch({"document": documents(extractor(extractor_spec).extract(given))})


def write_nowhere(frame: DataFrame) -> None:
    """Run a frame to its end; Spark's ``noop`` sink takes every row and forgets it."""
    frame.write.format("noop").mode("overwrite").save()


def assert_same_answers(methods: dict[str, Method], sample: DataFrame) -> int:
    """Hold several methods to the answers of the first.

    Returns:
        How many values were found and compared.
    """
    (reference, method), *others = methods.items()
    expected = [tuple(row) for row in method(sample).collect()]
    for name, other in others:
        answers = [tuple(row) for row in other(sample).collect()]
        for row, (one, another) in enumerate(zip(expected, answers, strict=True)):
            if one != another:
                raise AssertionError(f"line {row}: {reference} gives {one}, {name} gives {another}")
    return sum(value is not None for row in expected for value in row)
