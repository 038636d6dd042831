"""The ledger writer, the only writer of facts: `partition` decides, `snapshots` remembers, `writer` moves the bytes."""
