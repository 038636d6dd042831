"""The list of projections. To add one, make a folder whose `projection.py` has `PROJECTION`, and add its line here."""

from collections.abc import Mapping

from projections.answers.projection import PROJECTION as ANSWERS
from projections.cases.projection import PROJECTION as CASES
from projections.deferred_tracking.projection import PROJECTION as DEFERRED_TRACKING
from projections.inventory.projection import PROJECTION as INVENTORY
from projections.kpi.projection import PROJECTION as KPI
from projections.locations.projection import PROJECTION as LOCATIONS
from projections.model import Projection
from projections.order_history.projection import PROJECTION as ORDER_HISTORY
from projections.order_status.projection import PROJECTION as ORDER_STATUS
from projections.routing.projection import PROJECTION as ROUTING
from projections.stock_counts.projection import PROJECTION as STOCK_COUNTS
from projections.stock_movements.projection import PROJECTION as STOCK_MOVEMENTS
from projections.work_queue.projection import PROJECTION as WORK_QUEUE

#: By name, in the order in which they are folded and written.
PROJECTIONS: Mapping[str, Projection] = {
    projection.name: projection
    for projection in (
        ORDER_STATUS,
        ORDER_HISTORY,
        INVENTORY,
        STOCK_MOVEMENTS,
        STOCK_COUNTS,
        ANSWERS,
        LOCATIONS,
        CASES,
        KPI,
        ROUTING,
        WORK_QUEUE,
        DEFERRED_TRACKING,
    )
}
