"""Orders that a person is to decide about: one row for each order and queue."""
