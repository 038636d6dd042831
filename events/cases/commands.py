"""The commands of a service case, checked as they come in."""

from typing import Literal

from msgspec import Struct

from events.values import Id, ReasonCode, Text


class OpenCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer needs help."""

    case_id: Id
    customer_id: Id | None = None
    order_id: Id | None = None
    sku: Id | None = None
    channel: Literal["phone", "email", "chat", "social", "ledger"]
    topic: Text
    urgency: Literal["low", "normal", "high", "critical"]
    text: Text | None = None
    reason_code: ReasonCode | None = None


class AddCaseNote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something to remember about a case."""

    case_id: Id
    note: Text


class AssignCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Give a case to somebody."""

    case_id: Id
    assignee: Id


class ResolveCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A case is resolved."""

    case_id: Id
    resolution: Text


class ReopenCase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A resolved case is open again."""

    case_id: Id
    reason: Text


CaseCommand = OpenCase | AddCaseNote | AssignCase | ResolveCase | ReopenCase
