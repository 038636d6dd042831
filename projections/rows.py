"""Facts on their way to rows: a frame, or nothing with the same columns, at no cost.

    batch.facts("OrderHeld").select("order_id", SEQUENCE, active=pl.lit(1))

Most batches lack most facts, and a step of polars costs 100 µs even if it has no rows. So steps on nothing are only
noted. They are done when somebody asks for the empty frame.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

Step = Callable[[pl.DataFrame], pl.DataFrame]


class Rows:
    """Takes the steps of a polars frame. Immutable."""

    __slots__ = ("_empty", "_frame")

    def __init__(self, frame: pl.DataFrame | Callable[[], pl.DataFrame]) -> None:
        """These rows; or none, and what makes the empty frame with their columns."""
        self._frame: pl.DataFrame | None = None
        self._empty: Callable[[], pl.DataFrame]
        if not isinstance(frame, pl.DataFrame):
            self._empty = frame
        elif frame.height:
            self._frame = frame
        else:
            self._empty = lambda: frame

    @property
    def frame(self) -> pl.DataFrame:
        """The rows as polars has them."""
        return self._empty() if self._frame is None else self._frame

    @property
    def height(self) -> int:
        return 0 if self._frame is None else self._frame.height

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    def then(self, step: Step) -> Rows:
        """Any other step; it gets the frame, and is left out while there are no rows."""
        if self._frame is None:
            return Rows(lambda: step(self.frame))
        return Rows(step(self._frame))

    def select(self, *columns: pl.Expr | str, **named: pl.Expr | str) -> Rows:
        return self.then(lambda frame: frame.select(*columns, **named))

    def keep(self, *columns: str) -> Rows:
        """Those of these columns that are there: after `together`, the columns of absent facts are not."""
        return self.then(lambda frame: frame.select(name for name in columns if name in frame.columns))

    def with_columns(self, *columns: pl.Expr | str, **named: pl.Expr | str) -> Rows:
        return self.then(lambda frame: frame.with_columns(*columns, **named))

    def filter(self, *conditions: pl.Expr | str) -> Rows:
        return self.then(lambda frame: frame.filter(*conditions))

    def drop(self, *columns: str) -> Rows:
        return self.then(lambda frame: frame.drop(*columns))

    def explode(self, column: str) -> Rows:
        return self.then(lambda frame: frame.explode(column))

    def unnest(self, column: str) -> Rows:
        return self.then(lambda frame: frame.unnest(column))


def together(*parts: Rows) -> Rows:
    """All rows of these parts, with the columns of those that have any; a column that a part lacks is null."""
    found = [part for part in parts if part.height]
    if len(found) == 1:
        return found[0]
    if found:
        return Rows(pl.concat([part.frame for part in found], how="diagonal"))
    return Rows(lambda: pl.concat([part.frame for part in parts], how="diagonal"))
