"""Orders that wait for a person's decision: one row for each order and queue."""
