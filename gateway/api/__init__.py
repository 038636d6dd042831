"""The HTTP API: documents from the tables, health of the services, and the contracts as a schema registry.

app = create_app(Settings(), services)
run_api(settings, services, stop)       # serves until `stop` is set
"""

from processors.worker import Worker

WORKER = Worker("api", run="gateway.api.app:run_api", needed=False, environment={})

__all__ = ["WORKER"]
