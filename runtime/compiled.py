"""Libraries that silently run in plain Python if their compiled part is missing.

    uncompiled()     # [] if all is well; ["fastavro"]: each record takes ten times as long, or more

This happens if there is no wheel for this Python or machine, and no compiler to build one. Faust also has a compiled
part. It is not checked, because Faust handles one event for all the facts of a fetch.
"""

import sys
from collections.abc import Callable, Collection, Mapping


def uncompiled(libraries: Collection[str] | None = None) -> list[str]:
    """The libraries that run without their compiled part in this process; by default all known ones are checked."""
    return [name for name, in_python in _IN_PYTHON.items() if (libraries is None or name in libraries) and in_python()]


def _aiokafka() -> bool:
    from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

    return any(_is_python(one.__module__) for one in (DefaultRecordBatch, DefaultRecordBatchBuilder))


def _fastavro() -> bool:
    import fastavro.read
    import fastavro.write

    # No public name says whether fastavro uses its compiled part.
    return any(_is_python(one.__name__) for one in (vars(fastavro.read)["_read"], vars(fastavro.write)["_write"]))


def _psycopg() -> bool:
    import psycopg

    return psycopg.pq.__impl__ == "python"


def _is_python(module: str) -> bool:
    return str(sys.modules[module].__file__).endswith(".py")


#: Functions, so that a worker does not import libraries that it does not use.
_IN_PYTHON: Mapping[str, Callable[[], bool]] = {"aiokafka": _aiokafka, "fastavro": _fastavro, "psycopg": _psycopg}
