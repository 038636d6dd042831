"""Tables made from facts: one folder per projection, with its tables, its fold and its readers.

A fold is pure (see `projections.model`). `projections.catalogue` lists all; the projector in `processors` runs them.
"""
