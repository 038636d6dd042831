"""An independent check: folds the whole log one fact at a time in plain Python, and compares it with the live tables.

    report = verify(services, codec)
    print(report.as_json())

It shares only the contracts' codec with the product. The reader's rule, and the effect of each fact on each table, are
written here a second time. If a projection has a table that this package does not know, the check fails.
"""

from processors.verify.check import PROCESSES_MAX, Report, verify
from processors.verify.rows import Difference
from processors.verify.share import Progress

__all__ = ["PROCESSES_MAX", "Difference", "Progress", "Report", "verify"]
