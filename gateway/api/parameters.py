"""Types of parameters: days, words, ids, number of rows."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator

from events.values import ID_LENGTH_MAX
from gateway.reading.past import past_moment
from projections.kpi.definitions import Dimension
from runtime.errors import Fault

#: Rows of one answer, so that a client can hold it; use SQL to read a retailer's whole stock. Of the rows behind a
#: figure, failures come first, so one answer has the interesting ones.
ROWS_MAX = 10_000


def _whole(text: Any) -> Any:
    """Digits only: pydantic would accept ` 5`, `5.0` and `1_000`."""
    if isinstance(text, str) and not re.fullmatch(r"-?\d+", text, re.ASCII):
        raise ValueError("write it in digits")
    return text


def _day(text: Any) -> Any:
    """A day only: pydantic would accept a number of seconds, and a time at midnight."""
    if isinstance(text, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("write a day as 2026-11-27")
    return text


def _moment(text: Any) -> datetime:
    """An earlier moment. What is not one is a misfit of the parameter, like any other."""
    try:
        return past_moment("it", str(text))
    except Fault as fault:
        raise ValueError(f"{fault.what}; {fault.hint}") from fault


#: An empty value is refused: `sku=` is a mistake and does not mean all SKUs.
Word = Annotated[str, Query(min_length=1, max_length=ID_LENGTH_MAX)]
OrderId = Annotated[str, Path(max_length=ID_LENGTH_MAX, description="The channel's order_id.")]
Moment = Annotated[datetime, BeforeValidator(_moment)]
AsOf = Annotated[Moment | None, Query(description="As known then: what was recorded by this time.")]
Effective = Annotated[Moment | None, Query(description="What had occurred by this time, whenever it was recorded.")]
Day = Annotated[date, BeforeValidator(_day)]
FromDay = Annotated[Day | None, Query(alias="from", description="First day (UTC).")]
ToDay = Annotated[Day | None, Query(description="Last day (UTC), included.")]
By = Annotated[Dimension | None, Query(description="Also show groups by this.")]
Limit = Annotated[int, Query(ge=1, le=ROWS_MAX, description="Maximum of rows or groups."), BeforeValidator(_whole)]
