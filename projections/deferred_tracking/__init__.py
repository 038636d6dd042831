"""Carriers' scans that came before their parcel's dispatch, one row each."""
