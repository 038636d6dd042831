"""Counts that have to be repeated, or approved by another person, and what became of these."""
