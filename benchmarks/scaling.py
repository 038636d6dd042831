"""How many processes, partitions, brokers and disks some orders a day need, from what one order was measured to cost.

    python -m benchmarks.scaling           writes the tables of docs/scaling.md again (make scaling)

The figures come from benchmarks/results/: cost.json (`benchmarks.surge.cost`) and hot.json (`benchmarks.surge.hot`).
A test compares the page with them, so that page and figures cannot differ.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
PAGE, RESULTS = ROOT / "docs" / "scaling.md", ROOT / "benchmarks" / "results"

#: The assumptions, which the page names. In the peak minute of a day so many times the average is placed, and so many
#: times the average is sent and delivered: warehouses and carriers work through a peak during the day.
PLACED_TIMES, DELIVERED_TIMES = 10, 3
#: A core is used up to here in the peak minute: what is left works off what has piled up.
BUSY = 0.6
#: Copies of each partition; processes of each worker, so that another one takes over; brokers.
COPIES, PROCESSES_MIN, BROKERS_MIN = 3, 2, 3
#: Partitions for each process of the largest kind of worker: shares differ little, and the number of partitions can
#: never be raised. In dozens, because a dozen divides well.
PARTITIONS_A_PROCESS, DOZEN = 3, 12
#: Intake, ledger and dead letters.
TOPICS = 7
INTAKE_DAYS = 30
#: Cores of a broker and of a PostgreSQL primary.
BROKER_CORES, PRIMARY_CORES = 8, 32
#: Bytes that a table of PostgreSQL may have (appendix K of its manual).
TABLE_BYTES_MAX = 32 * 2**40
DAY_SECONDS, YEAR_DAYS = 86_400, 365
WORKERS = ("ledger", "reactions", "projector")
SCALES = (1_000_000, 10_000_000, 100_000_000)


class Half(NamedTuple):
    """An order's cost until it is allocated, or from then until it is delivered."""

    cpu_us: Mapping[str, int]
    facts: float
    intake_bytes: int
    ledger_bytes: int
    tables: Mapping[str, int]
    wal_bytes: int

    @property
    def table_bytes(self) -> int:
        return sum(self.tables.values())


class Row(NamedTuple):
    """A line of a table: what, how it was computed, what comes out."""

    what: str
    how: str
    result: str


class Needs(NamedTuple):
    """What some orders a day need; `rows` shows the arithmetic."""

    processes: Mapping[str, int]
    partitions: int
    brokers: int
    primaries: int
    rows: Sequence[Row]


def half(measured: Mapping[str, Any]) -> Half:
    records, size = measured["records_an_order"], measured["bytes_an_order"]

    def of(topics: Mapping[str, Any], kind: str) -> Any:
        return sum(value for name, value in topics.items() if name.removeprefix("ours.").startswith(kind))

    return Half(
        measured["cpu_us_an_order"],
        round(of(records, "ledger."), 1),
        of(size["kafka"], "intake."),
        of(size["kafka"], "ledger."),
        size["tables"],
        size["wal"],
    )


def needs(orders_a_day: int, placing: Half, delivering: Half) -> Needs:
    average = orders_a_day / DAY_SECONDS
    placed, delivered = average * PLACED_TIMES, average * DELIVERED_TIMES
    rows = [
        Row("orders a second, over the day", f"{orders_a_day:,} ÷ {DAY_SECONDS:,} s", number(average)),
        Row("placed a second in the peak minute", f"{number(average)} × {PLACED_TIMES}", number(placed)),
        Row("delivered a second in the peak minute", f"{number(average)} × {DELIVERED_TIMES}", number(delivered)),
    ]

    def both(first: float, second: float) -> str:
        return f"{number(placed)} × {number(first)} + {number(delivered)} × {number(second)}"

    def cores(name: str) -> float:
        return (placed * placing.cpu_us[name] + delivered * delivering.cpu_us[name]) / 1e6

    processes = {name: max(PROCESSES_MIN, math.ceil(cores(name) / BUSY)) for name in WORKERS}
    for name in WORKERS:
        how = (
            f"({both(placing.cpu_us[name], delivering.cpu_us[name])} µs) ÷ 10⁶ = {number(cores(name))} cores; ÷ {BUSY}"
        )
        least = f", at least {PROCESSES_MIN}" if cores(name) / BUSY <= PROCESSES_MIN else ""
        rows.append(Row(f"processes of `{name}`", how + least, str(processes[name])))

    largest = max(processes.values())
    partitions = DOZEN * math.ceil(PARTITIONS_A_PROCESS * largest / DOZEN)
    how = f"{largest} processes × {PARTITIONS_A_PROCESS}, in dozens"
    rows.append(Row("partitions of each topic", how, str(partitions)))

    log_bytes = [one.intake_bytes + one.ledger_bytes for one in (placing, delivering)]
    written = (placed * log_bytes[0] + delivered * log_bytes[1]) / 1e6
    rows.append(
        Row(
            "written to Kafka in the peak minute, MB/s",
            f"({both(*log_bytes)} B) = {number(written)} MB; × {COPIES} copies",
            number(written * COPIES),
        )
    )
    broker_cores = cores("Kafka") * COPIES
    brokers = max(BROKERS_MIN, math.ceil(broker_cores / BROKER_CORES / BUSY))
    rows.append(
        Row(
            f"brokers of {BROKER_CORES} cores",
            f"({both(placing.cpu_us['Kafka'], delivering.cpu_us['Kafka'])} µs) ÷ 10⁶ × {COPIES} copies = "
            f"{number(broker_cores)} cores; ÷ {BROKER_CORES} ÷ {BUSY}, at least {BROKERS_MIN}",
            str(brokers),
        )
    )
    replicas = TOPICS * partitions * COPIES
    rows.append(
        Row(
            "replicas of partitions on a broker",
            f"{TOPICS} topics × {partitions} × {COPIES} ÷ {brokers}",
            f"{math.ceil(replicas / brokers):,}",
        )
    )
    facts = placing.ledger_bytes + delivering.ledger_bytes
    rows.append(
        Row(
            "facts on disk, kept for ever",
            f"{orders_a_day:,} × {facts:,} B × {COPIES} copies × {YEAR_DAYS}",
            f"{size(orders_a_day * facts * COPIES * YEAR_DAYS)} a year",
        )
    )
    intake = placing.intake_bytes + delivering.intake_bytes
    rows.append(
        Row(
            "commands on disk",
            f"{orders_a_day:,} × {intake:,} B × {COPIES} copies × {INTAKE_DAYS} days",
            size(orders_a_day * intake * COPIES * INTAKE_DAYS),
        )
    )

    primary_cores = cores("PostgreSQL")
    primaries = max(1, math.ceil(primary_cores / PRIMARY_CORES / BUSY))
    rows.append(
        Row(
            f"PostgreSQL primaries of {PRIMARY_CORES} cores, by CPU",
            f"({both(placing.cpu_us['PostgreSQL'], delivering.cpu_us['PostgreSQL'])} µs) ÷ 10⁶ = "
            f"{number(primary_cores)} cores; ÷ {PRIMARY_CORES} ÷ {BUSY}",
            str(primaries),
        )
    )
    wal = (placed * placing.wal_bytes + delivered * delivering.wal_bytes) / 1e6
    rows.append(
        Row(
            "WAL in the peak minute, MB/s",
            f"({both(placing.wal_bytes, delivering.wal_bytes)} B) ÷ 10⁶",
            number(wal),
        )
    )
    tables = placing.table_bytes + delivering.table_bytes
    rows.append(
        Row(
            "tables with their indexes",
            f"{orders_a_day:,} × {tables:,} B",
            f"{size(orders_a_day * tables)} a day, {size(orders_a_day * tables * YEAR_DAYS)} a year",
        )
    )
    name, per_order = largest_table(placing, delivering)
    days = TABLE_BYTES_MAX / (orders_a_day * per_order)
    rows.append(
        Row(
            "until the largest table has 32 TB",
            f"2⁴⁵ B ÷ ({orders_a_day:,} × {per_order:,} B of `{name}`)",
            f"{days:,.0f} days" if days < 2 * YEAR_DAYS else f"{days / YEAR_DAYS:,.0f} years",
        )
    )
    all_facts = placing.facts + delivering.facts
    rate = all_facts / ((placing.cpu_us["projector"] + delivering.cpu_us["projector"]) / 1e6)
    at_once = processes["projector"]
    hours = orders_a_day * YEAR_DAYS * all_facts / rate / at_once / 3_600
    rows.append(
        Row(
            "to fold a year of facts again",
            f"{orders_a_day:,} × {YEAR_DAYS} × {all_facts:,.1f} facts ÷ ({number(rate)}/s × {at_once} processes)",
            f"{hours:,.0f} hours" if hours < 72 else f"{hours / 24:,.0f} days",
        )
    )
    return Needs(processes, partitions, brokers, primaries, rows)


def largest_table(placing: Half, delivering: Half) -> tuple[str, int]:
    """The table that grows most with an order, and by how much, with its indexes."""
    names = {*placing.tables, *delivering.tables}
    grown = {name: placing.tables.get(name, 0) + delivering.tables.get(name, 0) for name in names}
    return max(sorted(grown.items()), key=lambda one: one[1])


def blocks(cost: Mapping[str, Any], hot: Mapping[str, Any]) -> dict[str, str]:
    """The generated parts of the page, by name."""
    placing, delivering = half(cost["placing"]), half(cost["delivering"])
    found = {f"{scale:,}": table(("what", "how", "result"), needs(scale, placing, delivering).rows) for scale in SCALES}
    found["an order"] = an_order(cost, placing, delivering)
    found["one SKU"] = one_sku(hot)
    found["reservations"] = table(
        ("reservations held", "CPU µs of one more", "size in a snapshot", "CPU to write it"),
        [
            (
                f"{one['held']:,}",
                f"{one['cpu_us_a_reservation']:,.0f}",
                f"{one['snapshot_mb']:,} MB",
                f"{one['snapshot_cpu_ms']:,.0f} ms",
            )
            for one in hot["deciding"]
        ],
    )
    return found


def an_order(cost: Mapping[str, Any], placing: Half, delivering: Half) -> str:
    rows = [(f"CPU µs: {name}", f"{placing.cpu_us[name]:,}", f"{delivering.cpu_us[name]:,}") for name in placing.cpu_us]
    pairs = {
        "commands that a channel sends": [cost[name]["commands_an_order"] for name in ("placing", "delivering")],
        "facts": [placing.facts, delivering.facts],
        "bytes of commands in Kafka, one copy": [placing.intake_bytes, delivering.intake_bytes],
        "bytes of facts in Kafka, one copy": [placing.ledger_bytes, delivering.ledger_bytes],
        "bytes of PostgreSQL's tables with indexes": [placing.table_bytes, delivering.table_bytes],
        "bytes of PostgreSQL's WAL": [placing.wal_bytes, delivering.wal_bytes],
    }
    rows += [(name, f"{first:,}", f"{second:,}") for name, (first, second) in pairs.items()]
    largest = sorted(
        (
            (placing.tables.get(name, 0) + delivering.tables.get(name, 0), name)
            for name in {*placing.tables, *delivering.tables}
        ),
        reverse=True,
    )[:5]
    biggest = ", ".join(f"`{name}` {size:,}" for size, name in largest)
    return (
        table(("an order of three lines", "placed until allocated", "then until delivered"), rows)
        + f"\n\nThe largest tables, in bytes of both halves: {biggest}."
    )


def one_sku(hot: Mapping[str, Any]) -> str:
    names = list(next(iter(hot["loads"].values()))["cpu_us_an_order"])
    return table(
        ("orders of one line", "orders/s", *(f"{name}: CPU µs" for name in names), "busiest worker"),
        [
            (
                name,
                f"{load['orders_per_second']:,}",
                *(f"{load['cpu_us_an_order'][one]:,}" for one in names),
                busiest(load["cores"]),
            )
            for name, load in hot["loads"].items()
        ],
    )


def busiest(cores: Mapping[str, float]) -> str:
    name = max(WORKERS, key=lambda worker: cores[worker])
    return f"{name}, {cores[name]:.0%} of a core"


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """With thousands, and three digits at least where there are any."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def size(count: float) -> str:
    """Bytes in the unit that people would say."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1_000:
            return f"{number(count)} {unit}"
        count /= 1_000
    return f"{number(count)} PB"


def written(page: str, found: Mapping[str, str]) -> str:
    """The page with its generated parts. Raises KeyError for a part that there is not."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n\n{found[match[2]]}\n\n{match[3]}"

    return re.sub(r"(<!-- figures: (.+?) -->).*?(<!-- end of figures -->)", block, page, flags=re.DOTALL)


def from_results() -> dict[str, str]:
    return blocks(*(json.loads((RESULTS / name).read_text()) for name in ("cost.json", "hot.json")))


def main() -> None:
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), from_results()), encoding="utf-8")


if __name__ == "__main__":
    main()
