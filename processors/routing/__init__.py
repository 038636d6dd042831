"""Routing: from rules to a problem, to its optimum, to the reasons in words."""
