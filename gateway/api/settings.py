"""Where the API listens: `ORDER_LEDGER_API_HOST`, `ORDER_LEDGER_API_PORT`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """This machine alone by default: the API asks nobody who they are."""

    model_config = SettingsConfigDict(env_prefix="ORDER_LEDGER_API_", extra="ignore", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on; another one opens the API to the network")
    port: int = Field(default=8085, ge=0, le=65_535, description="Port to listen on; 0 takes any free one")
