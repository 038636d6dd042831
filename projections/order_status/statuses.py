"""Every status of an order, with what it means. `table.sql` derives the status; a test compares the two."""

from __future__ import annotations

STATUSES = {
    "placed": "Some or all units still need a location, and none is allocated. Also an order of charges only.",
    "held": "The order has an active hold, and nothing has shipped yet.",
    "backordered": "Every unit waits for stock.",
    "partially_allocated": "Some units are allocated. The others wait for stock or still need a location.",
    "allocated": "Every unit that is still wanted is allocated, and nothing has shipped yet.",
    "partially_shipped": "Some units have shipped. The others have not shipped yet.",
    "shipped": "Every unit that is still wanted has shipped. Not all of them are delivered.",
    "delivered": "Every shipped unit is delivered or was replaced, and nothing is left to ship.",
    "partially_returned": "Nothing is left to ship, and some of the shipped units came back, for any cause.",
    "returned": "Nothing is left to ship, and every shipped unit came back, for any cause.",
    "cancelled": "Every unit is cancelled.",
}
