"""Settings come from the environment, reach the clients whole, and keep secrets out of sight."""

from __future__ import annotations

import os
import sys

import pytest

from runtime.errors import Fault
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


def test_security_settings_reach_the_kafka_clients(monkeypatch, tmp_path):
    certificates = tmp_path / "ca.pem"
    certificates.touch()
    monkeypatch.setenv("ORDER_LEDGER_KAFKA", "broker:9093")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SECURITY_PROTOCOL", "sasl_ssl")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_USERNAME", "ledger")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SASL_PASSWORD", "hush")
    monkeypatch.setenv("ORDER_LEDGER_KAFKA_SSL_CA_LOCATION", str(certificates))
    assert Settings().kafka_client_config() == {
        "bootstrap.servers": "broker:9093",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ledger",
        "sasl.password": "hush",
        "ssl.ca.location": str(certificates),
    }


def test_secrets_are_not_shown(monkeypatch):
    sign_in = {
        "SECURITY_PROTOCOL": "sasl_ssl",
        "SASL_MECHANISM": "PLAIN",
        "SASL_USERNAME": "me",
        "SASL_PASSWORD": "hush",
    }
    for name, value in sign_in.items():
        monkeypatch.setenv(f"ORDER_LEDGER_KAFKA_{name}", value)
    monkeypatch.setenv("ORDER_LEDGER_KAFKA", "broker:9093")
    monkeypatch.setenv("ORDER_LEDGER_POSTGRES", "host=db password=hush")
    assert "hush" not in repr(Settings())


def test_child_processes_get_the_same_settings(monkeypatch, tmp_path):
    settings = Settings(kafka="b:1", postgres="host=db password=hush", topic_prefix="t1.", home=tmp_path, partitions=3)
    for name, value in settings.as_env().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_topic_prefix_that_kafka_would_refuse_is_refused_here():
    with pytest.raises(Fault, match="ORDER_LEDGER_TOPIC_PREFIX is 'a b/'"):
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


@pytest.fixture
def environment(monkeypatch):
    """What else is set on this machine stands in nobody's way."""
    for name in [name for name in os.environ if name.upper().startswith("ORDER_LEDGER_")]:
        monkeypatch.delenv(name)

    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def wrong():
    with pytest.raises(Fault) as caught:
        Settings()
    return caught.value.detail


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ORDER_LEDGER_KAFFKA", "ORDER_LEDGER_KAFKA"),
        ("ORDER_LEDGER_POSTGRESQL", "ORDER_LEDGER_POSTGRES"),
        ("ORDER_LEDGER_KAFKA_SASL_PASSWD", "ORDER_LEDGER_KAFKA_SASL_PASSWORD"),
        ("ORDER_LEDGER_PORT", "ORDER_LEDGER_API_PORT"),
        ("ORDER_LEDGER_LOGLEVEL", "ORDER_LEDGER_LOG_LEVEL"),
        ("ORDER_LEDGER_APY_PORT", "ORDER_LEDGER_API_PORT"),
        ("order_ledger_hom", "ORDER_LEDGER_HOME"),
    ],
)
def test_a_name_that_nobody_reads_is_refused_with_the_nearest_one(environment, name, nearest):
    environment(**{name: "9000"})
    assert f"{name} is not a setting. The nearest one is {nearest}" in wrong()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDER_LEDGER_SERVICE_HOST", "10.0.0.1"),
        ("ORDER_LEDGER_SERVICE_PORT", "80"),
        ("ORDER_LEDGER_SERVICE_PORT_HTTP", "80"),
        ("ORDER_LEDGER_PORT", "tcp://10.0.0.1:80"),
        ("ORDER_LEDGER_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("ORDER_LEDGER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("ORDER_LEDGER_PORT_53_UDP_PROTO", "udp"),
        ("ORDER_LEDGER_API_SERVICE_HOST", "10.0.0.1"),
        ("ORDER_LEDGER_API_SERVICE_PORT_HTTP", "80"),
        ("ORDER_LEDGER_API_PORT_8085_TCP_PORT", "8085"),
        ("ORDER_LEDGER_KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("ORDER_LEDGER_KAFKA_SERVICE_PORT", "9092"),
        ("ORDER_LEDGER_TEST_SEEDS", "20"),
        ("ORDER_LEDGER_FAILPOINTS", ""),
        ("MY_ORDER_LEDGER_KAFFKA", "x"),
    ],
)
def test_what_kubernetes_and_the_tests_set_is_no_setting_and_not_refused(environment, name, value):
    environment(**{name: value})
    assert Settings().kafka is None


def test_the_port_that_kubernetes_sets_is_told_from_a_wrong_one(environment):
    environment(ORDER_LEDGER_API_PORT="tcp://10.0.0.1:80")
    said = wrong()
    assert "ORDER_LEDGER_API_PORT is 'tcp://10.0.0.1:80'" in said
    assert "Service called order-ledger-api" in said
    assert "enableServiceLinks" in said


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("API_PORT", "99999", "a number from 0 to 65535"),
        ("API_PORT", "http", "a number from 0 to 65535"),
        ("API_HOST", "a b", "no host name"),
        ("API_HOST", "", "empty"),
        ("LOG_LEVEL", "bogus", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_LEVEL", "", "'DEBUG'"),
        ("PARTITIONS", "0", "a number from 1 to 10000"),
        ("PARTITIONS", "12.5", "a number from 1 to 10000"),
        ("REPLICATION", "8", "a number from 1 to 7"),
        ("REPLICATION", "3", "ORDER_LEDGER_KAFKA is not set"),
        ("EPOCH", "-1", "a number from 0"),
        ("EPOCH", "99999999999999999999", "a number from 0"),
        ("STALL_SECONDS", "nan", "a number from 5"),
        ("STALL_SECONDS", "inf", "a number from 5"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "301", "a number from 1"),
        ("KAFKA_GROUP_PROTOCOL", "modern", "'classic' or 'consumer'"),
        ("TOPIC_PREFIX", "a b", "Kafka allows"),
        ("TOPIC_PREFIX", "a" * 201, "at most 200"),
        ("KAFKA", "", "empty"),
        ("KAFKA", "PLAINTEXT://broker:9092", "without a scheme"),
        ("KAFKA", "broker:99999", "between 1 and 65535"),
        ("KAFKA", "broker:", "host:port"),
        ("KAFKA", "one:9092,,two:9092", "host:port"),
        ("KAFKA", "::1:9092", "host:port"),
        ("KAFKA", "one;two", "no host name"),
        ("KAFKA_SECURITY_PROTOCOL", "tls", "'plaintext', 'ssl', 'sasl_plaintext' or 'sasl_ssl'"),
        ("KAFKA_SASL_MECHANISM", "MD5", "'SCRAM-SHA-512'"),
        ("KAFKA_SSL_CA_LOCATION", "/no/such.pem", "no such file"),
        ("KAFKA_SSL_CA_LOCATION", "/" + "a" * 300, "no such file"),
        ("KAFKA_SASL_USERNAME", "me", "ORDER_LEDGER_KAFKA is not"),
        ("SCHEMA_REGISTRY", "registry:8081", "http://host:8081"),
        ("SCHEMA_REGISTRY", "http://registry:99999", "Port out of range"),
        ("HOME", "", "names no folder"),
        ("HOME", "/dev/null", "file"),
        ("CACHE", "/tmp/a:b", "Java"),
        ("WEBHOOK_URL", "shop.example/hooks", "Write a URL"),
        ("WEBHOOK_FACTS", "OrderPlaced", "ORDER_LEDGER_WEBHOOK_URL is not"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_with_what_is_allowed(environment, name, value, allowed):
    environment(**{f"ORDER_LEDGER_{name}": value})
    said = wrong()
    assert f"ORDER_LEDGER_{name} is " in said
    assert allowed in said
    if name not in {"KAFKA_SASL_USERNAME", "REPLICATION", "WEBHOOK_FACTS"}:
        assert repr(value) in said, "as it was set"


@pytest.mark.parametrize(
    "value", ["hush", "host=db password=hush hush", "host=db port=hush", "hush://u:hush@db/d", " "]
)
def test_a_wrong_connection_string_is_named_and_not_repeated(environment, value):
    environment(ORDER_LEDGER_POSTGRES=value)
    said = wrong()
    assert "ORDER_LEDGER_POSTGRES" in said
    assert "hush" not in said


@pytest.mark.parametrize("value", ["hush", "whsec_hush", "whsec_" + "h" * 28, "whsec_" + "h" * 100])
def test_a_secret_of_webhooks_that_is_none_is_named_and_not_repeated(environment, value):
    environment(ORDER_LEDGER_WEBHOOK_URL="http://shop.example/", ORDER_LEDGER_WEBHOOK_SECRET=value)
    said = wrong()
    assert "ORDER_LEDGER_WEBHOOK_SECRET: A secret is whsec_" in said
    assert value.removeprefix("whsec_") not in said


def test_a_webhook_is_signed_or_not_called_at_all(environment):
    environment(ORDER_LEDGER_WEBHOOK_URL="http://shop.example/")
    assert "ORDER_LEDGER_WEBHOOK_SECRET is not set. ORDER_LEDGER_WEBHOOK_URL needs it" in wrong()
    environment(ORDER_LEDGER_WEBHOOK_SECRET="whsec_" + "h" * 32)
    settings = Settings()
    assert settings.webhook_url == "http://shop.example/"
    assert "hhhh" not in repr(settings)


def test_credentials_in_an_address_are_not_repeated(environment):
    environment(ORDER_LEDGER_KAFKA="me:hush@broker:9092", ORDER_LEDGER_SCHEMA_REGISTRY="ftp://me:hush@registry")
    said = wrong()
    assert "hush" not in said
    assert "…@broker:9092" in said
    assert "…@registry" in said


def test_all_that_is_wrong_is_said_at_once(environment):
    environment(ORDER_LEDGER_KAFFKA="b:1", ORDER_LEDGER_PARTITIONS="many", ORDER_LEDGER_LOG_LEVEL="loud")
    assert [line.split()[0] for line in wrong().splitlines()] == [
        "ORDER_LEDGER_KAFFKA",
        "ORDER_LEDGER_PARTITIONS",
        "ORDER_LEDGER_LOG_LEVEL",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SASL_PASSWORD": "x"}, "SASL_PASSWORD is set, but ORDER_LEDGER_KAFKA_SECURITY_PROTOCOL is plaintext"),
        ({"SSL_CA_LOCATION": "/"}, "SSL_CA_LOCATION is set, but ORDER_LEDGER_KAFKA_SECURITY_PROTOCOL is plaintext"),
        ({"SSL_CA_LOCATION": "/", "SECURITY_PROTOCOL": "sasl_plaintext"}, "SSL_CA_LOCATION is set, but"),
        ({"SECURITY_PROTOCOL": "sasl_ssl"}, "SASL_MECHANISM is not set"),
        ({"SECURITY_PROTOCOL": "sasl_ssl", "SASL_MECHANISM": "PLAIN"}, "SASL_PASSWORD is not set"),
    ],
)
def test_a_protection_that_nothing_would_use_is_refused(environment, settings, said):
    environment(ORDER_LEDGER_KAFKA="broker:9093", **{f"ORDER_LEDGER_KAFKA_{k}": v for k, v in settings.items()})
    assert said in wrong()


def test_a_folder_that_cannot_be_looked_at_is_left_to_whoever_uses_it(environment, tmp_path, monkeypatch):
    """Seen to fail: below a folder of root's every command ended in "Permission denied", `status` among them."""

    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    environment(ORDER_LEDGER_HOME=str(tmp_path / "home"))
    monkeypatch.setattr(os, "stat", closed)
    assert Settings().home == tmp_path / "home"


def test_values_are_taken_as_people_write_them(environment, tmp_path):
    environment(
        ORDER_LEDGER_KAFKA="one:9092, [::1]:9093",
        ORDER_LEDGER_LOG_LEVEL="debug",
        ORDER_LEDGER_API_HOST="[::1]",
        ORDER_LEDGER_HOME="~/ledger",
        HOME=str(tmp_path),
    )
    settings = Settings()
    assert (settings.kafka, settings.log_level, settings.api_host) == ("one:9092,[::1]:9093", "DEBUG", "::1")
    assert settings.home == tmp_path / "ledger"
