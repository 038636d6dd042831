"""Rules for routing orders: a text that a planner writes, versioned as facts."""
