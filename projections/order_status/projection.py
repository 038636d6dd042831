"""Orders as they are now: counters and derived status, lines, their locations, holds, shipments, returns."""

from projections.model import Projection
from projections.order_status.fold import fold
from projections.order_status.tables import TABLES

PROJECTION = Projection("order_status", TABLES, fold)

__all__ = ["PROJECTION"]
