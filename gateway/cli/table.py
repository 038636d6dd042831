"""Every command of the command line, in the order of `--help`, with the module that is imported when it is called.

A new command is a row here and a `register(app)` in its module. The words are the first sentence of the command's own
help; a test holds that they are the same, and that no module is left out.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A command, or a group of them."""

    name: str
    module: str
    help: str


COMMANDS: tuple[Row, ...] = (
    Row("up", "services", "Start Kafka and PostgreSQL (or check those configured); they go on running until `down`."),
    Row("down", "services", "Stop the embedded services; their data stays."),
    Row("status", "services", "Show what runs, where, and where it logs: services, workers, API."),
    Row(
        "demo",
        "demo",
        "Start everything, run real orders (--data) or a simulated season through it, show what came of it, verify.",
    ),
    Row(
        "publish",
        "commands",
        "Publish commands and tell what became of each: accepted, duplicate, rejected (and why) or dead.",
    ),
    Row(
        "simulate",
        "season",
        "Run a labelled, seeded peak season through the ledger: orders, picks, carriers, returns, counts, cases.",
    ),
    Row(
        "run",
        "workers",
        "Run workers in the foreground until SIGTERM or Ctrl-C, which lets them finish what they have in hand.",
    ),
    Row("settle", "workers", "Return when nothing is in flight any more: all decided, reacted to, in the tables."),
    Row("order", "orders", "Show an order as it is now: status, lines, where they are, shipments, returns."),
    Row(
        "story",
        "orders",
        "Tell what happened to an order, as it happened, refused commands and service cases included.",
    ),
    Row(
        "kpi",
        "kpis",
        "Show the figures with what they were counted from, and whether they are as good as they should be at peak.",
    ),
    Row(
        "route",
        "routing",
        "Route an order by the rules and the stock as they are now, or as given files say.",
    ),
    Row(
        "what-if",
        "routing",
        "Route a period's orders again under other rules: parcels, cost and late orders, and the difference.",
    ),
    Row(
        "verify",
        "verification",
        "Fold the whole log independently and compare every row and column of the tables; exit status 1 if they "
        "differ.",
    ),
    Row(
        "doctor",
        "health",
        "Check services, topics, workers, what was passed over and what waits; exit status 1 if something fails.",
    ),
    Row("import", "imports", "Import a retailer's history."),
    Row("inventory", "stock", "Stock of each SKU at each location."),
    Row("rejections", "rejections", "Commands that were understood and refused."),
    Row("movements", "stock", "Every change of a quantity of a SKU."),
    Row("counts", "stock", "Counts that wait for a person."),
    Row("queue", "queue", "Orders that a person is to decide about."),
    Row("cases", "cases", "Service cases that are open."),
    Row("rules", "rules", "The rules by which orders are routed to locations."),
    Row("dead-letters", "dead_letters", "Records that nobody could read or handle."),
)
