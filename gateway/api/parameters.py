"""What addresses take, as types: days, words, ids, and how many rows."""

import re
from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator

from events.values import ID_LENGTH_MAX
from projections.kpi.definitions import Dimension

#: Rows of one answer: a page that a client can hold; a retailer's whole stock is read with SQL, not with HTTP. Of the
#: rows behind a figure, what spoils it comes first, so a page holds what somebody wants to look at.
ROWS_MAX = 10_000


def _whole(text: Any) -> Any:
    """Digits alone: pydantic would take ` 5`, `5.0` and `1_000`."""
    if isinstance(text, str) and not re.fullmatch(r"-?\d+", text, re.ASCII):
        raise ValueError("write it in digits")
    return text


def _day(text: Any) -> Any:
    """pydantic would take a number of seconds, and a time at midnight."""
    if isinstance(text, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("write a day as 2026-11-27")
    return text


#: A value that is given is not empty: `sku=` is a mistake, not every SKU.
Word = Annotated[str, Query(min_length=1, max_length=ID_LENGTH_MAX)]
OrderId = Annotated[str, Path(max_length=ID_LENGTH_MAX, description="As its channel gave it.")]
Day = Annotated[date, BeforeValidator(_day)]
FromDay = Annotated[Day | None, Query(alias="from", description="First day (UTC).")]
ToDay = Annotated[Day | None, Query(description="Last day (UTC), included.")]
By = Annotated[Dimension | None, Query(description="Also for each of these.")]
Limit = Annotated[int, Query(ge=1, le=ROWS_MAX, description="So many rows or groups."), BeforeValidator(_whole)]
