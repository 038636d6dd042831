"""The six KPIs: base rows per order, parcel, count and case, summed when read.

Effective: units are sums, and parcels, holds, promises, complaints and counts are rows with times of their own. The
facts of an order that was not placed yet are left out; so its parcels belong to no order, and no figure counts them.
Where the times of an order's facts contradict their sequence (units were cancelled after they had left, and that was
recorded first), its units are not balanced between these times.
"""

from dataclasses import replace

from projections.kpi.fold import ORDERS
from projections.kpi.fold import PROJECTION as KPI

EFFECTIVE = replace(
    KPI, tables=tuple(replace(one, born_with="placed_at") if one is ORDERS else one for one in KPI.tables)
)
PROJECTION = replace(KPI, effective=EFFECTIVE)

__all__ = ["PROJECTION"]
