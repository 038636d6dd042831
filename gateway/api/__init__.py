"""The HTTP API: what the tables say, whether the services answer, and the contracts as a schema registry has them.

app = create_app(Settings(), services)
run_api(settings, services, stop)       # serves until `stop` is set
"""

from gateway.api.app import create_app, run_api

__all__ = ["create_app", "run_api"]
