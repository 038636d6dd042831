"""Libraries that go on in plain Python where their compiled part is missing, and say nothing about it.

    uncompiled()     # [] where all is well; else ["fastavro"]: each record takes ten times as long, or more

That happens where there is no wheel for this Python or machine and no compiler to build one. Faust has such a part,
too, and is not looked at: it sees one event for all the facts of a fetch.
"""

import sys
from collections.abc import Callable, Collection, Mapping


def uncompiled(libraries: Collection[str] | None = None) -> list[str]:
    """Those of the libraries (by default all that are known) that run without their compiled part in this process."""
    return [name for name, in_python in _IN_PYTHON.items() if (libraries is None or name in libraries) and in_python()]


def _aiokafka() -> bool:
    from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

    return any(_is_python(one.__module__) for one in (DefaultRecordBatch, DefaultRecordBatchBuilder))


def _fastavro() -> bool:
    import fastavro.read
    import fastavro.write

    # There is no public place that says which of the two it took.
    return any(_is_python(one.__name__) for one in (vars(fastavro.read)["_read"], vars(fastavro.write)["_write"]))


def _psycopg() -> bool:
    import psycopg

    return psycopg.pq.__impl__ == "python"


def _is_python(module: str) -> bool:
    return str(sys.modules[module].__file__).endswith(".py")


#: Imported when asked for: a worker is not to load what it does without.
_IN_PYTHON: Mapping[str, Callable[[], bool]] = {"aiokafka": _aiokafka, "fastavro": _fastavro, "psycopg": _psycopg}
