"""What runs: the ledger writer, the reactions, the projector, and what checks them. Each is a loop around pure
rules.
"""
