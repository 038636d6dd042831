"""Rules by which orders are routed: a text that a planner writes, versioned as facts."""
