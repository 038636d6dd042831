"""Service cases as they are now: their topic, and whether they are resolved."""
