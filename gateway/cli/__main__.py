"""`python -m gateway.cli` is `order-ledger`."""

from gateway.cli import main

main()
