"""The facts of a service case."""

from msgspec import Struct

from events.values import Id, Text


class CaseOpened(Struct, frozen=True, kw_only=True):
    """A customer needs help."""

    case_id: Id
    customer_id: Id | None = None
    order_id: Id | None = None
    sku: Id | None = None
    channel: Text
    topic: Text
    urgency: Text
    text: Text | None = None
    reason_code: Text | None = None


class CaseNoteAdded(Struct, frozen=True, kw_only=True):
    """Something to remember about a case."""

    case_id: Id
    note: Text


class CaseAssigned(Struct, frozen=True, kw_only=True):
    """A case was assigned."""

    case_id: Id
    assignee: Id


class CaseResolved(Struct, frozen=True, kw_only=True):
    """A case is resolved."""

    case_id: Id
    resolution: Text


class CaseReopened(Struct, frozen=True, kw_only=True):
    """A resolved case is open again."""

    case_id: Id
    reason: Text


CaseFact = CaseOpened | CaseNoteAdded | CaseAssigned | CaseResolved | CaseReopened
