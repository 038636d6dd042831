"""The six KPIs: base rows per order, parcel, count and case, summed when read."""
