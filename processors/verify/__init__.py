"""An independent check: the whole log, folded one fact at a time in plain Python, against the live tables.

    report = verify(services, codec)
    print(report.as_json())

It shares the contracts' codec with the product and nothing else: the rule which facts count, and what each fact
means for each table, are written here a second time. A table of a projection that this room does not know makes
the check fail.
"""

from processors.verify.check import Progress, Report, verify
from processors.verify.rows import Difference

__all__ = ["Difference", "Progress", "Report", "verify"]
