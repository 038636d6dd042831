"""What orders are routed by: the rules, how busy each location was, and how fast its stock goes."""
