"""The account of an import: the kind of every row of the file, with units and value.

    rows_read = lines + charges + returns + adjustments + refused

This is checked when the account is made, so an import that loses a row fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

PLACES: Final = ("lines", "charges", "returns", "adjustments", "refused")


@dataclass(frozen=True, slots=True)
class Account:
    """Rows, units and value (pence, signed as in the file) per kind, sub-counts in rows, and other remarks.

    Units and value do not include rows with an unreadable cell.
    """

    rows_read: int
    rows: dict[str, int]
    units: dict[str, int]
    value_minor: dict[str, int]
    charges: dict[str, int]
    returns: dict[str, int]
    adjustments: dict[str, int]
    refused: dict[str, int]
    rows_outside_slice: int
    rows_over_several_lines: int
    orders: int
    orders_without_lines: int
    orders_of_guests: int
    price_rounded_rows: int
    price_rounding_minor: Decimal
    unknown_countries: dict[str, int]
    unusual_codes: tuple[str, ...]

    def __post_init__(self) -> None:
        parts = {
            "charges": self.charges,
            "returns": self.returns,
            "adjustments": self.adjustments,
            "refused": self.refused,
        }
        if self.rows_read != sum(self.rows.values()) or any(self.rows[k] != sum(v.values()) for k, v in parts.items()):
            raise AssertionError(f"the account does not balance: {self.rows_read} rows read, {self.rows}, {parts}")

    def as_dict(self) -> dict[str, Any]:
        """The account as one JSON object; each kind has rows, units, value_minor and its sub-counts by name."""
        sub_counts = {
            "lines": {},
            "charges": self.charges,
            "returns": self.returns,
            "adjustments": self.adjustments,
            "refused": self.refused,
        }
        return {
            "rows_read": self.rows_read,
            "rows_outside_slice": self.rows_outside_slice,
            "rows_over_several_lines": self.rows_over_several_lines,
            **{
                place: {
                    "rows": self.rows[place],
                    "units": self.units[place],
                    "value_minor": self.value_minor[place],
                    **({"of_which": sub_counts[place]} if sub_counts[place] else {}),
                }
                for place in PLACES
            },
            "currency": "GBP",
            "orders": self.orders,
            "orders_without_lines": self.orders_without_lines,
            "orders_of_guests": self.orders_of_guests,
            "price_rounded_rows": self.price_rounded_rows,
            "price_rounding_minor": str(self.price_rounding_minor),
            "unknown_countries": self.unknown_countries,
            "unusual_codes": list(self.unusual_codes),
        }

    def render(self) -> str:
        """The account as a small table for people."""
        sub_counts = {
            "charges": self.charges,
            "returns": self.returns,
            "adjustments": self.adjustments,
            "refused": self.refused,
        }
        out = [f"{'':<44}{'rows':>10}{'units':>14}{'value GBP':>18}", f"{'rows read':<44}{self.rows_read:>10,}"]
        for place in PLACES:
            value = Decimal(self.value_minor[place]) / 100
            out.append(f"  {place:<42}{self.rows[place]:>10,}{self.units[place]:>14,}{value:>18,.2f}")
            out.extend(f"    {name:<40}{rows:>10,}" for name, rows in sub_counts.get(place, {}).items() if rows)
        out.append(f"{'orders':<44}{self.orders:>10,}")
        out.append(f"{'  without a line, charges only':<44}{self.orders_without_lines:>10,}")
        out.append(f"{'  of guests (no customer in the file)':<44}{self.orders_of_guests:>10,}")
        rounding = f"difference {self.price_rounding_minor} pence in all"
        out.append(f"{'prices rounded to whole pence':<44}{self.price_rounded_rows:>10,}  {rounding}")
        if self.rows_outside_slice:
            out.append(f"{'rows of the file outside the slice':<44}{self.rows_outside_slice:>10,}")
        if self.rows_over_several_lines:
            out.append(f"{'rows that take up several lines of the csv':<44}{self.rows_over_several_lines:>10,}")
        for name, rows in self.unknown_countries.items():
            out.append(f"{'country without a code: ' + name:<44}{rows:>10,}")
        return "\n".join(out)
