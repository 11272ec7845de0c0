"""Spark's session: how it is started, and what is said when it does not start, or ends.

Spark runs in a Java process of its own. What that says goes to a log, of which one line is told when nothing else tells.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from compliancectl.engines.base import EngineFailed, Settings
from compliancectl.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BRIEF = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""For a session of small questions: Java's second compiler would not earn back what it takes."""

_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
}
_NEEDED = "It needs Java 17 (JAVA_HOME, or `java` on the path) and a master that answers."
_JAVA = "Install Java 17, or let JAVA_HOME name the folder where it is."
_MEMORY = "Java ran out of memory; SPARK_DRIVER_MEMORY=8g, for example, gives it more"
_OF_NO_USE = re.compile(r"\s*at |.*/spark-class: ")
"""Lines of Java's log: where in the code it was, and what the script that starts it stumbled over then."""
_CONDITION = re.compile(r"\[[A-Z][A-Z0-9_.]+\] .*")
"""What Spark calls an error, and its sentence; somewhere in the text of whatever else failed by it."""
_TELLING = (
    ("UnsupportedClassVersionError", "the Java that was found is older than 17", _JAVA),
    ("JAVA_HOME is not set", "there is no Java", _JAVA),
    ("/bin/java: No such file", "there is no Java where JAVA_HOME says", _JAVA),
    ("/bin/java: cannot execute", "there is no Java where JAVA_HOME says", _JAVA),
    (
        "All masters are unresponsive",
        "no master answers at {master}",
        "Check --spark-master, and that it can be reached.",
    ),
    ("Could not parse Master URL", "{master} is no master", "Say local[4], or spark://HOST:7077, for example."),
    ("OutOfMemoryError", _MEMORY, None),
)
"""What Java or its log says, and what that means."""


def started(settings: Settings, scratch: Path) -> SparkSession:
    """A new session, with `scratch` for what Spark writes on this machine.

    Raises:
        UsageError: it does not start.
    """
    log = scratch / "java.log"
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)  # each error is reported by us, once,
    logging.getLogger().addFilter(_not_by_the_gateway)  # and so is a Java process that is gone
    try:
        with _java_writes_to(log):
            return _session(settings, scratch)
    except Exception as error:
        said = log.read_text(errors="replace") if log.is_file() else ""
        raise _not_started(error, said, settings.master) from error


def _not_by_the_gateway(record: logging.LogRecord) -> bool:
    return record.module != "java_gateway"


def _session(settings: Settings, scratch: Path) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("compliancectl").master(settings.master)
    local = {}
    if settings.master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        local = {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.local.dir": str(scratch),
            "spark.sql.shuffle.partitions": "4",
        }
    brief = _BRIEF if settings.brief else {}
    for name, value in {**_SETTINGS, **brief, "spark.sql.warehouse.dir": str(scratch / "warehouse"), **local}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


@contextmanager
def _java_writes_to(log: Path) -> Iterator[None]:
    """Java inherits standard error when it starts, and would fill the terminal with its own messages."""
    kept = os.dup(2)
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _not_started(error: Exception, log: str, master: str) -> UsageError:
    text = f"{error}\n{log}"
    for sign, what, hint in _TELLING:
        if sign in text:
            return UsageError(f"Spark does not start: {what.format(master=master)}", hint=hint or _NEEDED)
    said = sentence(error)
    if "Java gateway process exited" in said:
        lines = [line.strip() for line in log.splitlines() if line.strip() and not _OF_NO_USE.match(line)]
        telling = [line for line in lines if "Exception" in line or "rror" in line] or lines[-1:]
        said = f"Java ended, and said: {telling[0]}" if telling else "Java ended at once, and said nothing"
    return UsageError(f"Spark does not start: {said}", hint=_NEEDED)


@contextmanager
def failures() -> Iterator[None]:
    """What goes wrong while Spark works, in one sentence.

    Raises:
        EngineFailed: Spark, or the Java process that it runs in, did not finish.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError) as error:
        raise EngineFailed(f"Spark did not finish: {sentence(error)}") from error


def sentence(error: Exception) -> str:
    """The one line of an error that says what is wrong, with a full stop."""
    from py4j.protocol import Py4JJavaError, Py4JNetworkError

    text = str(error).strip()
    if "OutOfMemoryError" in text:
        return f"{_MEMORY}."
    if isinstance(error, Py4JNetworkError | ConnectionError) or "connect to the Java server" in text:
        return f"the Java process is gone. If it ran out of memory: {_MEMORY.partition('; ')[2]}."
    if "SparkContext was shut down" in text or "stopped SparkContext" in text:  # as it does when there is no memory
        return f"Spark shut itself down. If it ran out of memory: {_MEMORY.partition('; ')[2]}."
    lines = text.split("\n")
    if (named := _CONDITION.search(text)) is not None:
        lines = [named.group()]
    elif isinstance(error, Py4JJavaError):  # first the call, then `: class: what is wrong`, then where in the code
        causes = [line.strip() for line in lines if line.startswith("Caused by: ")]
        lines = [line.partition(": ")[2] for line in (*causes[-1:], *lines[1:2])]
    return lines[0].partition(" SQLSTATE:")[0].rstrip(".;") + "."
