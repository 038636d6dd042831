"""Carrier's scans that were told before their parcel's dispatch: one row for each."""
