"""Where the outside meets the ledger: command line, HTTP, connectors, simulated seasons."""
