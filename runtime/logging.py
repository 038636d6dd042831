"""Logs: an event name and fields, one line each, on stderr; stdout belongs to data.

    log.info("batch_written", rows=2500, partition=3)
    → 2026-11-22T19:03:11Z info batch_written partition=3 rows=2500          (JSON where stderr is no terminal)

Levels: `error` wakes a person, `warning` is looked at in the morning, `info` tells the story, `debug` is for us.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import structlog


class _Log:
    """structlog's logger, imported with the first line: most commands of a person log nothing, and it takes 0.15 s."""

    def __getattr__(self, name: str) -> Any:
        import structlog

        _configure_once()
        return getattr(structlog.get_logger("order_ledger"), name)


log = cast("structlog.stdlib.BoundLogger", _Log())

#: What `setup_logging` asked for, until the first line is written.
_wanted: Callable[[], logging.Formatter] | None = None
_formatter: logging.Formatter | None = None
#: Two threads may write the first line. One that configures may be told of a warning, which is a line, too.
_configuring = threading.RLock()


def setup_logging(level: str = "INFO", *, process: str | None = None, as_json: bool | None = None) -> None:
    """Send our logs and the libraries' logs to stderr in one shape; call once per process, at its start.

    `process` names the worker in every line, and what Python would print of warnings and of errors that nobody handles
    becomes lines of the log, too. JSON is chosen where stderr is not a terminal.
    """
    global _wanted  # noqa: PLW0603 - logging is a thing of the process
    number = logging.getLevelNamesMapping()[level]
    machine = not sys.stderr.isatty() if as_json is None else as_json
    _wanted = partial(_configure, number, process, machine=machine)
    handler = _PatientHandler(sys.stderr)
    quiet = _Quiet()
    handler.addFilter(lambda record: not record.name.startswith(_CHATTY) or quiet.filter(record))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))  # libraries tell of trouble only
    logging.getLogger("order_ledger").setLevel(number)
    if process is not None:
        _configure_once()  # a worker writes its first line at once
        logging.captureWarnings(True)
        sys.excepthook = _unhandled
        threading.excepthook = lambda args: _unhandled(args.exc_type, args.exc_value, args.exc_traceback)
        sys.unraisablehook = lambda args: _unhandled(args.exc_type, args.exc_value, args.exc_traceback)


def _configure_once() -> None:
    """Configure structlog as the last `setup_logging` asked; nothing where nobody asked, or it is done."""
    global _wanted, _formatter  # noqa: PLW0603 - as above
    with _configuring:
        wanted, _wanted = _wanted, None
        if wanted is not None:
            _formatter = wanted()


def _configure(number: int, process: str | None, *, machine: bool) -> logging.Formatter:
    import structlog

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        *([] if process is None else [_named(process)]),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Without local variables: they hold customers' data, and make a kilobyte of every line.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    last: list[structlog.typing.Processor] = (
        [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
        if machine
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _named(process: str) -> structlog.typing.Processor:
    # Not a context variable: threads of libraries have none of ours.
    def name(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "process": process}

    return name


def _unhandled(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.error("unhandled_error", exc_info=(kind, error if error is not None else kind(), trace))


class _PatientHandler(logging.StreamHandler[Any]):
    """A log that cannot be written (its disk is full) costs lines, never the work that they tell of.

    When lines can be written again, the second says how many are missing.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._lost = 0

    def format(self, record: logging.LogRecord) -> str:
        """The line; what makes it is imported with the first one."""
        _configure_once()
        self.formatter = _formatter
        return super().format(record)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + self.terminator
        except Exception:  # noqa: BLE001  # a line that cannot be put into words is told of as logging always does
            self.handleError(record)
            return
        try:
            # The last line may have been cut where the disk was full: this one begins anew.
            self.stream.write(f"\n{line}" if self._lost else line)
            self.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._lost += 1
            return
        lost, self._lost = self._lost, 0
        if lost:
            log.warning("log_lines_missing", lines=lost, hint="the log could not be written: was its disk full?")


#: A client's line comes again after so long. One that looks for its group while Kafka is away writes forty a second.
REPEATS_SECONDS = 10.0
#: The client that logs by itself, in loggers of many names.
_CHATTY = "aiokafka"
#: What was not said for so long is new. For ever would keep each port that was ever named.
FORGOTTEN_SECONDS = 600.0
#: What differs between lines that say the same.
_HOW_LONG = re.compile(r"\(after \d+ms.*")


class _Quiet(logging.Filter):
    """Lets pass what an operator can act on, and what is said over and over once in a while, with how often it was.

    librdkafka also warns, on each start, that a setting is experimental.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if any(word in text for word in ("CONFWARN", "Coordinator load in progress")):
            return False
        what = _HOW_LONG.sub("", text)
        now = self._clock()
        since, left_out = self._said.get(what, (-REPEATS_SECONDS, 0))
        if now - since < REPEATS_SECONDS:
            self._said[what] = since, left_out + 1
            return False
        if left_out:
            record.msg, record.args = f"{text} ({left_out} more since the last such line)", ()
        self._said = {line: said for line, said in self._said.items() if now - said[0] < FORGOTTEN_SECONDS}
        self._said[what] = now, 0
        return True


def hush_clients() -> None:
    """Clients say nothing from now on: who stops the services knows that they cannot be reached. Said after a run's
    verdict, it would look like one.
    """
    for name in ("order_ledger.kafka", "psycopg.pool", _CHATTY):
        logging.getLogger(name).disabled = True


def client_logger() -> Any:
    """Where Kafka clients write their own log lines."""
    logger = logging.getLogger("order_ledger.kafka")
    if not logger.filters:
        logger.addFilter(_Quiet())
    return logger
