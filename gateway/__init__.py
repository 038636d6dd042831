"""The ledger's doors: command line, HTTP API, connectors, simulated seasons."""
