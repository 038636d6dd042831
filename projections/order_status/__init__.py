"""Orders as they are now: counters and derived status, lines, where they are held, holds, shipments, returns."""
