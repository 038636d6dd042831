"""What this product costs, alone and beside its peers."""

import os

# As `gateway.cli.workers.work` does for the workers.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
