"""Tables that are folded from facts: one folder per projection, with its tables, its fold and its readers.

A fold is pure (see `projections.model`); `projections.catalogue` lists them all; the projector in `processors` feeds
them.
"""
