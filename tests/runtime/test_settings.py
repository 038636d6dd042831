"""Settings come from the environment, reach the clients whole, and keep secrets out of sight."""

from __future__ import annotations

import sys

import pytest

from runtime.services import find_services, status
from runtime.settings import Settings, default_home


def test_configured_addresses_win_and_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setenv("ORDER_LEDGER_KAFKA", "broker-1:9092,broker-2:9092")
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", "host=db dbname=ledger")
    monkeypatch.setenv("ORDER_LEDGER_HOME", str(tmp_path / "home"))
    services = find_services(Settings(), allow_testcontainers=True)
    assert services.bootstrap_servers == "broker-1:9092,broker-2:9092"
    assert services.postgres == "host=db dbname=ledger"
    assert services.origin == "configured"
    assert not (tmp_path / "home").exists()


def test_security_settings_reach_the_kafka_clients(monkeypatch):
    monkeypatch.setenv("ORDER_LEDGER_KAFKA", "broker:9093")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SECURITY_PROTOCOL", "sasl_ssl")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_USERNAME", "ledger")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_PASSWORD", "hush")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SSL_CA_LOCATION", "/ca.pem")
    assert Settings().kafka_client_config() == {
        "bootstrap.servers": "broker:9093",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ledger",
        "sasl.password": "hush",
        "ssl.ca.location": "/ca.pem",
    }


def test_secrets_are_not_shown(monkeypatch):
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_PASSWORD", "hush")
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", "host=db password=hush")
    assert "hush" not in repr(Settings())


def test_child_processes_get_the_same_settings(monkeypatch, tmp_path):
    settings = Settings(kafka="b:1", postgres="host=db password=hush", topic_prefix="t1.", home=tmp_path, partitions=3)
    for name, value in settings.as_env().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_topic_prefix_that_kafka_would_refuse_is_refused_here():
    with pytest.raises(ValueError, match="topic_prefix"):
        Settings(topic_prefix="a b/")


def test_each_installation_has_a_home_of_its_own(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/somewhere/shop/.venv")
    first = default_home()
    monkeypatch.setattr(sys, "prefix", "/elsewhere/shop/.venv")
    assert first.name.startswith("shop-")
    assert default_home() != first


def test_status_tells_of_services_that_do_not_answer_and_hides_the_password(tmp_path):
    settings = Settings(postgres="host=127.0.0.1 port=1 user=u password=hush dbname=d", home=tmp_path)
    kafka, postgres = status(settings)
    assert (kafka.up, kafka.address, kafka.origin) == (False, None, "embedded")
    assert (postgres.up, postgres.address, postgres.origin) == (False, "127.0.0.1:1/d", "configured")
    assert "hush" not in str(status(settings))
