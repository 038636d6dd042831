"""The definitions: how a figure is made from the rows of `cases`. Source: the product's vocabulary.

A change of a figure's meaning raises its `version`. `docs/kpis.md` explains what each figure counts, and what changed
between versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, LiteralString

from projections.kpi import cases

Unit = Literal["ratio", "hours"]
Dimension = Literal["channel", "region", "location", "carrier", "day"]
DIMENSIONS: tuple[Dimension, ...] = ("channel", "region", "location", "carrier", "day")


@dataclass(frozen=True, slots=True)
class Definition:
    """How a figure is made.

    `cases`: one of the queries of `cases`; a ratio has `good` (boolean), an hours figure `seconds` (numeric).
    `ideal`: the range at peak, if the vocabulary names one; `better`: which side of it is still good.
    `applies_to`: dimensions that a case has exactly one value of. `left_out`: the reasons for leaving a row out.
    `extras`: more aggregates over the counted rows, by their name in JSON. `scope`: the field that selects cases.
    """

    name: str
    version: int
    unit: Unit
    ideal: tuple[float, float] | None
    better: Literal["higher", "lower"]
    applies_to: frozenset[Dimension]
    cases: LiteralString
    left_out: tuple[LiteralString, ...] = ()
    extras: Mapping[LiteralString, LiteralString] = field(default_factory=dict)
    scope: Literal["order_id", "count_id"] = "order_id"

    @property
    def label(self) -> str:
        """Name and version, as in a figure: `return_rate/2`."""
        return f"{self.name}/{self.version}"

    def meets(self, value: float | None) -> bool | None:
        """Whether a value meets the ideal; null without a value or an ideal."""
        if value is None or self.ideal is None:
            return None
        low, high = self.ideal
        return value >= low if self.better == "higher" else value < high


_PERCENTILES: Mapping[LiteralString, LiteralString] = {
    "p50": "(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE counted)) / 3600",
    "p90": "(percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE counted)) / 3600",
}

_EARLY_AND_LATE: Mapping[LiteralString, LiteralString] = {
    "early_hours": "avg(early_seconds) FILTER (WHERE counted AND good) / 3600",
    "late_hours": "avg(-early_seconds) FILTER (WHERE counted AND early_seconds < 0) / 3600",
}

_SIX = (
    Definition(
        "order_fulfillment_rate",
        3,
        "ratio",
        (0.98, 0.99),
        "higher",
        frozenset({"channel", "region", "day"}),
        cases.FULFILMENT,
        cases.NOT_DUE,
        {
            "late": "count(*) FILTER (WHERE why = 'late')",
            "incomplete": "count(*) FILTER (WHERE why = 'not shipped complete')",
            "inaccurate": "count(*) FILTER (WHERE starts_with(why, 'inaccurate: '))",
            "not_delivered": "count(*) FILTER (WHERE why IN ('not delivered', 'arrived, nobody saw when'))",
            "cancelled_by_seller": "count(*) FILTER (WHERE why = 'cancelled by the seller')",
        },
    ),
    Definition(
        "order_processing_hours",
        1,
        "hours",
        (0.0, 24.0),
        "lower",
        frozenset({"channel", "region", "location", "day"}),
        cases.PROCESSING,
        cases.NOT_PROCESSED,
        {
            **_PERCENTILES,
            "elapsed_hours": "avg(elapsed_seconds) FILTER (WHERE counted) / 3600",
            "customer_hold_hours": "avg(held_seconds) FILTER (WHERE counted) / 3600",
            "before_release_hours": "avg(waited_seconds) FILTER (WHERE counted) / 3600",
        },
    ),
    Definition(
        "inventory_accuracy",
        1,
        "ratio",
        (0.995, 1.0),
        "higher",
        frozenset({"location", "day"}),
        cases.ACCURACY,
        (),
        {"units_counted": "coalesce(sum(units), 0)", "units_off": "coalesce(sum(off_by), 0)"},
        "count_id",
    ),
    Definition(
        "on_time_delivery_rate",
        3,
        "ratio",
        (0.95, 0.97),
        "higher",
        frozenset({"channel", "region", "day"}),
        cases.ON_TIME,
        cases.NOT_ON_TIME,
        {**_EARLY_AND_LATE, "not_whole": "count(*) FILTER (WHERE counted AND lacking)"},
    ),
    Definition(
        "case_resolution_hours",
        1,
        "hours",
        (0.0, 2.0),
        "lower",
        frozenset({"channel", "day"}),
        cases.CASES,
        cases.NOT_RESOLVED,
        {**_PERCENTILES, "reopened": "count(*) FILTER (WHERE counted AND reopened > 0)"},
    ),
    Definition(
        "return_rate",
        4,
        "ratio",
        (0.0, 0.05),
        "lower",
        frozenset({"channel", "region", "day"}),
        cases.RETURNS,
        cases.NOT_DELIVERED,
        {
            "units_returned": "coalesce(sum(units_returned) FILTER (WHERE counted), 0)",
            "units_delivered": "coalesce(sum(units_delivered) FILTER (WHERE counted), 0)",
            "units_back_otherwise": "coalesce(sum(units_back_otherwise), 0)",
        },
    ),
)

#: The same per parcel, so that carriers and locations can be compared.
_ON_TIME_PARCELS = Definition(
    "on_time_parcel_rate",
    1,
    "ratio",
    (0.95, 0.97),
    "higher",
    frozenset(DIMENSIONS),
    cases.ON_TIME_PARCELS,
    cases.PARCEL_NOT_ON_TIME,
    _EARLY_AND_LATE,
)

#: The six and the one per parcel, by name, in the order of display.
DEFINITIONS: Mapping[str, Definition] = {definition.name: definition for definition in (*_SIX, _ON_TIME_PARCELS)}

#: A separate figure: a difference from the ledger's own plan is no error of an order.
LEFT_OTHERWISE = Definition(
    "left_otherwise_than_planned",
    1,
    "ratio",
    None,
    "lower",
    frozenset(DIMENSIONS),
    cases.LEFT_OTHERWISE,
)

#: What makes an order perfect, as far as facts show. No fact says whether its documents were right.
COMPONENTS: tuple[LiteralString, ...] = ("complete", "on_time", "undamaged", "accurate")
NOT_KNOWN: tuple[str, ...] = ("documentation",)


def _perfect_order(name: str) -> Definition:
    return Definition(
        name,
        2,
        "ratio",
        None,
        "higher",
        frozenset({"channel", "region", "day"}),
        cases.PERFECT,
        cases.NOT_DUE,
        {component: f"count(*) FILTER (WHERE counted AND {component})" for component in COMPONENTS},
    )


#: In addition to the six: per order, and as the product of the components' rates.
PERFECT_ORDER_RATE = _perfect_order("perfect_order_rate")
PERFECT_ORDER_INDEX = _perfect_order("perfect_order_index")

#: All figures whose rows can be listed.
OPENABLE: Mapping[str, Definition] = {
    **DEFINITIONS,
    LEFT_OTHERWISE.name: LEFT_OTHERWISE,
    PERFECT_ORDER_RATE.name: PERFECT_ORDER_RATE,
    PERFECT_ORDER_INDEX.name: PERFECT_ORDER_INDEX,
}
