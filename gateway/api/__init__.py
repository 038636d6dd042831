"""The HTTP API: what the tables say, whether the services answer, and the contracts as a schema registry has them.

app = create_app(Settings(), services)
run_api(settings, services, stop)       # serves until `stop` is set
"""

from processors.worker import Worker

WORKER = Worker("api", run="gateway.api.app:run_api", needed=False, environment={})

__all__ = ["WORKER"]
