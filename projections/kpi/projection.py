"""The six KPIs: base rows per order, parcel, count and case, summed when read."""

from projections.kpi.fold import PROJECTION

__all__ = ["PROJECTION"]
