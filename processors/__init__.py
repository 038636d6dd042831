"""The workers: ledger writer, reactions, projector, effects; and their checks. Each is a loop around pure rules."""
