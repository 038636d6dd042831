"""Logs: an event name and fields, one line each, on stderr; stdout belongs to data.

    log.info("batch_written", rows=2500, partition=3)
    → 2026-11-22T19:03:11Z info batch_written partition=3 rows=2500          (JSON if stderr is not a terminal)

Levels: `error` needs a person at once, `warning` needs one within a day, `info` is progress, `debug` is for us.
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
    """structlog's logger, imported with the first line: most commands log nothing, and the import takes 0.15 s."""

    def __getattr__(self, name: str) -> Any:
        import structlog

        _configure_once()
        return getattr(structlog.get_logger("order_ledger"), name)


log = cast("structlog.stdlib.BoundLogger", _Log())

#: The configuration that `setup_logging` asked for, until the first line is written.
_wanted: Callable[[], logging.Formatter] | None = None
_formatter: logging.Formatter | None = None
#: Two threads may write the first line. Reentrant: configuring may itself cause a warning, which is a line too.
_configuring = threading.RLock()


def setup_logging(level: str = "INFO", *, process: str | None = None, as_json: bool | None = None) -> None:
    """Send our logs and the libraries' logs to stderr in one shape; call once per process, at its start.

    `process` names the worker in every line; Python's warnings and unhandled errors then become lines of the log too.
    The default is JSON if stderr is not a terminal.
    """
    global _wanted  # noqa: PLW0603 - logging is global to the process
    number = logging.getLevelNamesMapping()[level]
    machine = not sys.stderr.isatty() if as_json is None else as_json
    _wanted = partial(_configure, number, process, machine=machine)
    handler = _PatientHandler(sys.stderr)
    quiet = _Quiet()
    handler.addFilter(lambda record: not record.name.startswith(_CHATTY) or quiet.filter(record))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))  # libraries log only warnings and errors
    logging.getLogger("order_ledger").setLevel(number)
    if process is not None:
        _configure_once()  # a worker writes its first line at once
        logging.captureWarnings(True)
        sys.excepthook = _unhandled
        threading.excepthook = lambda args: _unhandled(args.exc_type, args.exc_value, args.exc_traceback)
        sys.unraisablehook = lambda args: _unhandled(args.exc_type, args.exc_value, args.exc_traceback)


def _configure_once() -> None:
    """Configure structlog as the last `setup_logging` asked, unless nobody asked or it is done."""
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
    # Without local variables: they hold customers' data, and make every line a kilobyte long.
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
    # Not a context variable: threads of libraries do not have ours.
    def name(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "process": process}

    return name


def _unhandled(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.error("unhandled_error", exc_info=(kind, error if error is not None else kind(), trace))


class _PatientHandler(logging.StreamHandler[Any]):
    """If the log cannot be written (its disk is full), lines are lost, but the work goes on.

    When lines can be written again, the second line says how many are missing.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._lost = 0

    def format(self, record: logging.LogRecord) -> str:
        """The line; structlog is imported with the first one."""
        _configure_once()
        self.formatter = _formatter
        return super().format(record)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + self.terminator
        except Exception:  # noqa: BLE001  # a line that cannot be formatted: handled as `logging` always does
            self.handleError(record)
            return
        try:
            # The full disk may have cut the last line, so begin a new one.
            self.stream.write(f"\n{line}" if self._lost else line)
            self.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._lost += 1
            return
        lost, self._lost = self._lost, 0
        if lost:
            log.warning("log_lines_missing", lines=lost, hint="the log could not be written: was its disk full?")


#: The same line of a client is written at most once in this time. While Kafka is away a client writes forty a second.
REPEATS_SECONDS = 10.0
#: This client logs by itself, in loggers of many names.
_CHATTY = "aiokafka"
#: A line that did not come for this long counts as new. Without an end, every port ever named would be remembered.
FORGOTTEN_SECONDS = 600.0
#: The part in which repeated lines differ.
_HOW_LONG = re.compile(r"\(after \d+ms.*")


class _Quiet(logging.Filter):
    """Drops lines that an operator cannot act on, and repeated lines; the next one then says how many were dropped.

    librdkafka also warns at each start that a setting is experimental.
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
    """Silence the clients, for a process that stops the services: errors of lost connections are expected, and after
    the result of a run they would look like a failure.
    """
    for name in ("order_ledger.kafka", "psycopg.pool", _CHATTY):
        logging.getLogger(name).disabled = True


def client_logger() -> Any:
    """The logger for the Kafka clients' own lines."""
    logger = logging.getLogger("order_ledger.kafka")
    if not logger.filters:
        logger.addFilter(_Quiet())
    return logger
