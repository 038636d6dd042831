"""Counts that need a second count or another person's approval, and their outcome."""
