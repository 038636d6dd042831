"""The tables of docs/scaling.md are what benchmarks/results/ says, and their arithmetic is right."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.scaling import PAGE, Half, blocks, from_results, half, needs, number, size, written

CPU = {"ledger": 1_000, "reactions": 500, "projector": 200, "Kafka": 400, "PostgreSQL": 300, "all": 2_400}
PLACING = Half(CPU, 8.0, 1_000, 3_000, {"orders": 4_000, "lines": 2_000}, 5_000)
DELIVERING = Half(dict.fromkeys(CPU, 0), 4.0, 500, 1_000, {"orders": 0, "movements": 3_000}, 2_000)


def rows(orders_a_day: int) -> dict[str, str]:
    return {row.what: row.result for row in needs(orders_a_day, PLACING, DELIVERING).rows}


def test_the_page_has_the_tables_of_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, from_results()) == page, "make scaling"


def test_every_generated_table_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in from_results():
        assert f"<!-- figures: {name} -->" in page


def test_a_day_of_86_4_million_orders_needs_so_many_processes() -> None:
    found = needs(86_400_000, PLACING, DELIVERING)  # 1,000 a second, 10,000 in the peak minute
    assert found.processes == {"ledger": 17, "reactions": 9, "projector": 4}  # 10, 5 and 2 cores at 60 %
    assert found.partitions == 60  # 17 × 3, in dozens
    assert found.brokers == 3  # 12 cores with all copies: 2.5 brokers of 8 cores at 60 %
    assert found.primaries == 1


def test_few_orders_need_the_least_of_everything() -> None:
    found = needs(1_000, PLACING, DELIVERING)
    assert set(found.processes.values()) == {2}
    assert (found.partitions, found.brokers, found.primaries) == (12, 3, 1)


def test_disks_are_for_all_copies() -> None:
    found = rows(1_000_000)
    assert found["facts on disk, kept for ever"] == "4.38 TB a year"  # 4,000 B × 3 × 365 million
    assert found["commands on disk"] == "135 GB"  # 1,500 B × 3 × 30 million
    assert found["tables with their indexes"] == "9 GB a day, 3.29 TB a year"


def test_a_half_is_read_from_what_was_measured() -> None:
    measured: dict[str, Any] = {
        "cpu_us_an_order": CPU,
        "records_an_order": {"intake.orders": 4.5, "ledger.orders": 5.0, "ledger.stock": 3.04, "dead-letters": 0.0},
        "bytes_an_order": {
            "kafka": {"ours.intake.orders": 700, "ours.ledger.orders": 900, "ours.ledger.stock": 600, "__x": 9},
            "tables": {"order_status": 400},
            "wal": 1_000,
        },
    }
    found = half(measured)
    assert (found.facts, found.intake_bytes, found.ledger_bytes, found.table_bytes) == (8.0, 700, 1_500, 400)


def test_a_part_that_nobody_makes_is_an_error() -> None:
    page = "<!-- figures: an order -->\nold\n<!-- end of figures -->"
    assert written(page, {"an order": "new"}) == "<!-- figures: an order -->\n\nnew\n\n<!-- end of figures -->"
    with pytest.raises(KeyError):
        written(page, {})


def test_one_sku_names_the_worker_that_had_most_to_do() -> None:
    load = {
        "orders_per_second": 700, "cpu_us_an_order": CPU,
        "cores": {"ledger": 0.71, "reactions": 0.2, "projector": 0.1, "Kafka": 0.9, "PostgreSQL": 0.1},
    }  # fmt: skip
    held = {"held": 1_000, "cpu_us_a_reservation": 200.9, "snapshot_mb": 0.14, "snapshot_cpu_ms": 13.3}
    one = {"commands_an_order": 1.0, "cpu_us_an_order": CPU, "records_an_order": {"ledger.orders": 8.0},
           "bytes_an_order": {"kafka": {}, "tables": {"t": 1}, "wal": 1}}  # fmt: skip
    found = blocks({"placing": one, "delivering": one}, {"loads": {"one SKU": load}, "deciding": [held]})
    assert "| one SKU | 700 | 1,000 | 500 | 200 | 400 | 300 | 2,400 | ledger, 71% of a core |" in found["one SKU"]
    assert "| 1,000 | 201 | 0.14 MB | 13 ms |" in found["reservations"]


def test_numbers_are_written_as_people_say_them() -> None:
    assert [number(value) for value in (1_157.4, 11.57, 0.0456)] == ["1,157", "11.6", "0.0456"]
    assert [size(value) for value in (950, 1_500_000, 4.38e12, 5e15)] == ["950 B", "1.5 MB", "4.38 TB", "5 PB"]
