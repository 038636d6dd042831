"""Orders as they are now: counters and derived status, lines, their locations, holds, shipments, returns."""
