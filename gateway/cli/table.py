"""All commands of the command line, in the order of `--help`, with the module that is imported when one is called.

A new command is a row here and a `register(app)` in its module. The text is the first sentence of the command's own
help; a test checks that they are the same and that no module is missing.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A command, or a group of them."""

    name: str
    module: str
    help: str


COMMANDS: tuple[Row, ...] = (
    Row("up", "services", "Start Kafka and PostgreSQL (or check the configured ones); they run until `down`."),
    Row("down", "services", "Stop the embedded services; their data is kept."),
    Row("status", "services", "Show services, workers and the API, with their addresses and logs."),
    Row(
        "demo",
        "demo",
        "Start everything, process real orders (--data) or a simulated season, show the results, and verify them.",
    ),
    Row(
        "publish",
        "commands",
        "Publish commands and show the result of each: accepted, duplicate, rejected (and why) or dead.",
    ),
    Row(
        "simulate",
        "season",
        "Simulate a peak season from a seed, labelled as such: orders, picks, carriers, returns, counts, cases.",
    ),
    Row(
        "run",
        "workers",
        "Run workers in the foreground until SIGTERM or Ctrl-C; then they finish their work in progress.",
    ),
    Row(
        "settle",
        "workers",
        "Wait until nothing is in flight: every command is decided, every reaction has run, the tables are up to date.",
    ),
    Row("order", "orders", "Show an order as it is now: status, lines with locations, shipments, returns."),
    Row(
        "story",
        "orders",
        "Tell what happened to an order, including refused commands and service cases.",
    ),
    Row(
        "kpi",
        "kpis",
        "Show the KPIs with numerator, denominator and ideal range.",
    ),
    Row(
        "route",
        "routing",
        "Route an order by the present rules and stock, or by those of given files.",
    ),
    Row(
        "what-if",
        "routing",
        "Route a period's orders again by other rules, and compare parcels, cost and late orders.",
    ),
    Row(
        "verify",
        "verification",
        "Compute all tables again from the log with separate code and compare every row; exit status 1 if they differ.",
    ),
    Row(
        "replay",
        "replay",
        "Build the tables of an earlier time, or of now, in a schema of their own, from the log; the live tables stay.",
    ),
    Row(
        "diff",
        "replay",
        "Show which rows differ between the tables of two schemas, by key; exit status 1 if any do.",
    ),
    Row(
        "doctor",
        "health",
        "Check services, topics, workers, skipped facts and dead letters; exit status 1 if a check fails.",
    ),
    Row("import", "imports", "Import a retailer's history."),
    Row("inventory", "stock", "Stock of each SKU at each location."),
    Row("rejections", "rejections", "Refused commands."),
    Row("movements", "stock", "Every stock movement."),
    Row("counts", "stock", "Counts that wait for a person."),
    Row("queue", "queue", "Orders that wait for a person's decision."),
    Row("cases", "cases", "Open service cases."),
    Row("rules", "rules", "Rules that route orders to locations."),
    Row("dead-letters", "dead_letters", "Dead letters: records that nobody could read or handle."),
)
