"""For operators: which workers run, what is in flight, what is wrong, and dead letters."""
