"""What routing reads: the rules, how busy each location was, and how fast its stock sells."""
