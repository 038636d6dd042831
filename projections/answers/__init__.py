"""The answer to each command from outside: accepted or refused, and why. One row per decision."""
