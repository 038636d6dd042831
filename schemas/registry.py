"""The contracts as a Confluent schema registry sees them: subjects by TopicRecordNameStrategy, `topic-full.name`.

    registry = Subjects({"order_ledger.facts.OrderPlaced": ["ledger.orders"]})
    registry.names()                                  # ["ledger.orders-order_ledger.facts.OrderPlaced"]
    codec = Codec(register(client, registry))         # with a real registry; without one, Codec() uses the fixed ids

The caller says which topics a record is in: contracts know nothing of topics.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import NamedTuple, Protocol

from schemas.contracts import Contract, contracts

#: Every version reads what every other version wrote, as the contract tests prove.
COMPATIBILITY = "FULL_TRANSITIVE"


class Subject(NamedTuple):
    """One version of one subject."""

    name: str
    version: int
    contract: Contract


class Subjects:
    """All subjects and versions; `topics` maps a record's full name to the topics it is in."""

    def __init__(self, topics: Mapping[str, Iterable[str]]) -> None:
        self._versions: dict[str, dict[int, Contract]] = {}
        self._by_id: dict[int, Contract] = {}
        for contract in contracts():
            for topic in topics.get(contract.full_name, ()):
                name = f"{topic}-{contract.full_name}"
                self._versions.setdefault(name, {})[contract.version] = contract
                self._by_id[contract.schema_id] = contract

    def names(self) -> list[str]:
        """All subjects, sorted."""
        return sorted(self._versions)

    def versions(self, subject: str) -> list[int]:
        """Versions of a subject, oldest first. KeyError if there is no such subject."""
        return sorted(self._versions[subject])

    def find(self, subject: str, version: int | None = None) -> Subject:
        """A version of a subject, the newest by default. KeyError if there is no such subject or version."""
        number = self.versions(subject)[-1] if version is None else version
        return Subject(subject, number, self._versions[subject][number])

    def by_id(self, schema_id: int) -> Contract:
        """The contract with a fixed id. KeyError if there is none."""
        return self._by_id[schema_id]

    def max_id(self) -> int:
        """The largest id."""
        return max(self._by_id)

    def of_id(self, schema_id: int) -> list[Subject]:
        """All subjects and versions of a fixed id."""
        return [subject for subject in self.all() if subject.contract.schema_id == schema_id]

    def all(self) -> list[Subject]:
        """Every version of every subject, by name and oldest first."""
        return [self.find(name, version) for name in self.names() for version in self.versions(name)]


class RegistryClient(Protocol):
    """The two calls used of `confluent_kafka.schema_registry.SchemaRegistryClient`, bound to Avro."""

    def set_compatibility(self, subject: str, level: str) -> object: ...
    def register(self, subject: str, schema: str) -> int: ...


class IncompatibleError(Exception):
    """The registry holds a schema under the subject that is incompatible with the new one."""

    def __init__(self, subject: str, detail: str) -> None:
        super().__init__(detail)
        self.subject = subject


class ConfluentRegistry:
    """A real registry at a URL, called with confluent-kafka's client."""

    def __init__(self, url: str) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        self._client = SchemaRegistryClient({"url": url})

    def set_compatibility(self, subject: str, level: str) -> object:
        """Set the rule by which the registry accepts further versions of a subject."""
        return self._client.set_compatibility(subject_name=subject, level=level)

    def register(self, subject: str, schema: str) -> int:
        """Id of the schema under the subject. A repeat returns the same id. Raises IncompatibleError."""
        from confluent_kafka.schema_registry import Schema
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            return int(self._client.register_schema(subject, Schema(schema, "AVRO")))
        except SchemaRegistryError as error:
            if error.http_status_code != HTTPStatus.CONFLICT:
                raise
            raise IncompatibleError(subject, str(error)) from error


def register(client: RegistryClient, subjects: Subjects) -> dict[tuple[str, int], int]:
    """Register everything, oldest version first. Returns the ids for `Codec`: (full name, version) → id.

    A repeat changes nothing. ValueError when the registry gives one schema two ids: a record that is in several topics
    could then not be written with one frame.
    """
    ids: dict[tuple[str, int], int] = {}
    for subject in subjects.all():
        if subject.version == subjects.versions(subject.name)[0]:
            client.set_compatibility(subject.name, COMPATIBILITY)
        schema_id = client.register(subject.name, subject.contract.text)
        key = subject.contract.full_name, subject.version
        if ids.setdefault(key, schema_id) != schema_id:
            raise ValueError(f"the registry gave {key} the ids {ids[key]} and {schema_id}; one id per schema is needed")
    return ids
