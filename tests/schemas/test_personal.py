"""Every text of every contract says whether it is about a person, and whose it is."""

from collections.abc import Iterator
from typing import Any

import pytest

from events.catalogue import COMMANDS, FACTS
from schemas.contracts import Contract, contracts

ALL = contracts()
IDS = [f"{contract.name}.v{contract.version}" for contract in ALL]
KEYS = {row.name: row.key for row in (*COMMANDS.values(), *FACTS.values())}
#: Streams that are of a customer: one who ordered, one who asks.
OF_A_CUSTOMER = {"order_id", "case_id"}


def inner(avro: Any) -> Any:
    """The type within an option, a list or a map."""
    if isinstance(avro, list):
        return inner(next(branch for branch in avro if branch != "null"))
    if isinstance(avro, dict) and avro["type"] in ("array", "map"):
        return inner(avro["items" if avro["type"] == "array" else "values"])
    return avro


def fields(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All fields of a record and of the records in it, by path."""
    for field in record["fields"]:
        path = before + field["name"]
        yield path, field
        nested = inner(field["type"])
        if isinstance(nested, dict) and nested["type"] == "record":
            yield from fields(nested, path + ".")


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_every_text_says_whether_it_is_personal(contract: Contract) -> None:
    for path, field in fields(contract.schema):
        if inner(field["type"]) == "string":
            assert isinstance(field.get("personal"), bool), f"{path}: say whether it is personal, true or false"
        assert isinstance(field.get("personal", False), bool), path


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_the_subject_of_a_personal_field_can_be_told(contract: Contract) -> None:
    found = dict(fields(contract.schema))
    # A refusal stands in the streams of all kinds. Of an order or a case it is about the customer.
    has_customer = contract.name == "CommandRefused" or KEYS[contract.name] in OF_A_CUSTOMER
    for path, field in found.items():
        subject = field.get("subject")
        if subject is not None:
            assert field["personal"], f"{path} has a subject and is not personal"
            assert inner(found[subject]["type"]) == "string", path
        elif field.get("personal"):
            assert has_customer, f"{path}: no customer owns this stream, so say whose it is"


def test_where_an_order_goes_and_who_ordered_is_personal_and_codes_are_not() -> None:
    (placed,) = (contract for contract in ALL if contract.name == "OrderPlaced")
    personal = {path for path, field in fields(placed.schema) if field.get("personal")}
    assert personal == {
        "actor",
        "data.customer_id",
        "data.lines.attributes.value",
        "data.charges.description",
        *(f"data.ship_to.{name}" for name in ("name", "street", "city", "postcode", "email", "phone")),
        "data.ship_to.latitude",
        "data.ship_to.longitude",
    }
