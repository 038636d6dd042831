"""The one list of every command and fact: its class, topic, key and contract.

Whoever needs to know what exists reads it here; nothing is registered by being imported.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from events.cases import commands as cases_commands
from events.cases import facts as cases_facts
from events.categories import commands as categories_commands
from events.categories import facts as categories_facts
from events.locations import commands as locations_commands
from events.locations import facts as locations_facts
from events.orders import commands as orders_commands
from events.orders import facts as orders_facts
from events.refusal import CommandRefused
from events.routing import commands as routing_commands
from events.routing import facts as routing_facts
from events.stock import commands as stock_commands
from events.stock import facts as stock_facts
from schemas.contracts import COMMAND_NAMESPACE, FACT_NAMESPACE

INTAKE_TOPICS = ("intake.orders", "intake.stock", "intake.service")
LEDGER_TOPICS = ("ledger.orders", "ledger.stock", "ledger.service")
DEAD_LETTERS = "dead-letters"

#: The ledger topic that answers an intake topic, partition by partition.
LEDGER_OF_INTAKE: Mapping[str, str] = dict(zip(INTAKE_TOPICS, LEDGER_TOPICS, strict=True))


#: The kind of stream that a key names; it stands in every fact. Streams of two kinds may have one id.
_KIND_OF_KEY: Mapping[str, str] = {
    "order_id": "order",
    "sku": "stock",
    "case_id": "case",
    "location_id": "location",
    "rules_id": "routing",
    "category_id": "category",
}


class CommandType(NamedTuple):
    """A command: its class, the topic it is sent to, the field that is its key. Only reactions send internal ones."""

    data: type[Any]
    topic: str
    key: str
    internal: bool = False

    @property
    def name(self) -> str:
        return self.data.__name__

    @property
    def kind(self) -> str:
        """Kind of its stream."""
        return _KIND_OF_KEY[self.key]

    @property
    def schema(self) -> str:
        """Full name of its Avro record."""
        return f"{COMMAND_NAMESPACE}.{self.name}"


class FactType(NamedTuple):
    """A fact: its class, the topic it stands in, the field that is its key (its stream)."""

    data: type[Any]
    topic: str
    key: str

    @property
    def name(self) -> str:
        return self.data.__name__

    @property
    def kind(self) -> str:
        """Kind of its stream."""
        return _KIND_OF_KEY[self.key]

    @property
    def schema(self) -> str:
        """Full name of its Avro record."""
        return f"{FACT_NAMESPACE}.{self.name}"


_COMMANDS = (
    CommandType(orders_commands.PlaceOrder, "intake.orders", "order_id"),
    CommandType(orders_commands.AmendOrder, "intake.orders", "order_id"),
    CommandType(orders_commands.CancelOrder, "intake.orders", "order_id"),
    CommandType(orders_commands.HoldOrder, "intake.orders", "order_id"),
    CommandType(orders_commands.ReleaseHold, "intake.orders", "order_id"),
    CommandType(orders_commands.DispatchShipment, "intake.orders", "order_id"),
    CommandType(orders_commands.RecordTracking, "intake.orders", "order_id"),
    CommandType(orders_commands.RequestReturn, "intake.orders", "order_id"),
    CommandType(orders_commands.RecordReturnTracking, "intake.orders", "order_id"),
    CommandType(orders_commands.WithdrawReturn, "intake.orders", "order_id"),
    CommandType(orders_commands.ReceiveReturn, "intake.orders", "order_id"),
    CommandType(orders_commands.IssueRefund, "intake.orders", "order_id"),
    CommandType(orders_commands.DeallocateLines, "intake.orders", "order_id"),
    CommandType(orders_commands.RecordAllocation, "intake.orders", "order_id", internal=True),
    CommandType(orders_commands.ReleaseOrder, "intake.orders", "order_id", internal=True),
    CommandType(orders_commands.RejectAllocation, "intake.orders", "order_id"),
    CommandType(orders_commands.QueueOrder, "intake.orders", "order_id", internal=True),
    CommandType(orders_commands.ResolveQueued, "intake.orders", "order_id"),
    CommandType(orders_commands.CancelOverdueLines, "intake.orders", "order_id", internal=True),
    CommandType(stock_commands.ReceiveStock, "intake.stock", "sku"),
    CommandType(stock_commands.ExpectStock, "intake.stock", "sku"),
    CommandType(stock_commands.AdjustStock, "intake.stock", "sku"),
    CommandType(stock_commands.MoveStock, "intake.stock", "sku"),
    CommandType(stock_commands.StartTransfer, "intake.stock", "sku"),
    CommandType(stock_commands.ReceiveTransfer, "intake.stock", "sku"),
    CommandType(stock_commands.AmendTransfer, "intake.stock", "sku"),
    CommandType(stock_commands.CountStock, "intake.stock", "sku"),
    CommandType(stock_commands.ApproveCount, "intake.stock", "sku"),
    CommandType(stock_commands.MarkDamaged, "intake.stock", "sku"),
    CommandType(stock_commands.HoldStock, "intake.stock", "sku"),
    CommandType(stock_commands.ReleaseQualityHold, "intake.stock", "sku"),
    CommandType(stock_commands.DisposeStock, "intake.stock", "sku"),
    CommandType(stock_commands.SetStockPolicy, "intake.stock", "sku"),
    CommandType(stock_commands.SetChannelPolicy, "intake.stock", "sku"),
    CommandType(stock_commands.AssignCategory, "intake.stock", "sku"),
    CommandType(stock_commands.ApplyCategoryPolicy, "intake.stock", "sku", internal=True),
    CommandType(categories_commands.SetCategoryPolicy, "intake.service", "category_id"),
    CommandType(categories_commands.JoinCategory, "intake.service", "category_id", internal=True),
    CommandType(stock_commands.ReserveStock, "intake.stock", "sku"),
    CommandType(stock_commands.ReleaseStock, "intake.stock", "sku"),
    CommandType(stock_commands.AwaitStock, "intake.stock", "sku", internal=True),
    CommandType(stock_commands.ShipStock, "intake.stock", "sku", internal=True),
    CommandType(stock_commands.ReturnStock, "intake.stock", "sku", internal=True),
    CommandType(stock_commands.RejectStock, "intake.stock", "sku", internal=True),
    CommandType(stock_commands.ExpireReservation, "intake.stock", "sku", internal=True),
    CommandType(stock_commands.CheckExpected, "intake.stock", "sku", internal=True),
    CommandType(stock_commands.ServeQueue, "intake.stock", "sku", internal=True),
    CommandType(locations_commands.RegisterLocation, "intake.service", "location_id"),
    CommandType(locations_commands.SetLocationPolicy, "intake.service", "location_id"),
    CommandType(routing_commands.SetRoutingRules, "intake.service", "rules_id"),
    CommandType(cases_commands.OpenCase, "intake.service", "case_id"),
    CommandType(cases_commands.AddCaseNote, "intake.service", "case_id"),
    CommandType(cases_commands.AssignCase, "intake.service", "case_id"),
    CommandType(cases_commands.ResolveCase, "intake.service", "case_id"),
    CommandType(cases_commands.ReopenCase, "intake.service", "case_id"),
)

_FACTS = (
    FactType(orders_facts.OrderPlaced, "ledger.orders", "order_id"),
    FactType(orders_facts.OrderAmended, "ledger.orders", "order_id"),
    FactType(orders_facts.AmendmentRequested, "ledger.orders", "order_id"),
    FactType(orders_facts.AmendmentAnswered, "ledger.orders", "order_id"),
    FactType(orders_facts.AmendmentDeclined, "ledger.orders", "order_id"),
    FactType(orders_facts.OrderCancelled, "ledger.orders", "order_id"),
    FactType(orders_facts.OrderHeld, "ledger.orders", "order_id"),
    FactType(orders_facts.HoldReleased, "ledger.orders", "order_id"),
    FactType(orders_facts.SourcingRequested, "ledger.orders", "order_id"),
    FactType(orders_facts.LineAllocated, "ledger.orders", "order_id"),
    FactType(orders_facts.LineBackordered, "ledger.orders", "order_id"),
    FactType(orders_facts.LinePromised, "ledger.orders", "order_id"),
    FactType(orders_facts.BackorderReopened, "ledger.orders", "order_id"),
    FactType(orders_facts.LineDeallocated, "ledger.orders", "order_id"),
    FactType(orders_facts.ReservationSurrendered, "ledger.orders", "order_id"),
    FactType(orders_facts.AllocationAnswered, "ledger.orders", "order_id"),
    FactType(orders_facts.OrderAllocated, "ledger.orders", "order_id"),
    FactType(orders_facts.ShipmentDispatched, "ledger.orders", "order_id"),
    FactType(orders_facts.DispatchDiffered, "ledger.orders", "order_id"),
    FactType(orders_facts.DispatchCrossed, "ledger.orders", "order_id"),
    FactType(orders_facts.ShipmentTracked, "ledger.orders", "order_id"),
    FactType(orders_facts.ShipmentDelivered, "ledger.orders", "order_id"),
    FactType(orders_facts.DeliveryInferred, "ledger.orders", "order_id"),
    FactType(orders_facts.ReturnRequested, "ledger.orders", "order_id"),
    FactType(orders_facts.ReturnTracked, "ledger.orders", "order_id"),
    FactType(orders_facts.ReturnReceived, "ledger.orders", "order_id"),
    FactType(orders_facts.ReturnDiffered, "ledger.orders", "order_id"),
    FactType(orders_facts.RefundIssued, "ledger.orders", "order_id"),
    FactType(orders_facts.ExchangeLinesAdded, "ledger.orders", "order_id"),
    FactType(orders_facts.ExchangeReleased, "ledger.orders", "order_id"),
    FactType(orders_facts.ReturnWithdrawn, "ledger.orders", "order_id"),
    FactType(orders_facts.AllocationRejected, "ledger.orders", "order_id"),
    FactType(orders_facts.OrderQueued, "ledger.orders", "order_id"),
    FactType(orders_facts.OrderUnqueued, "ledger.orders", "order_id"),
    FactType(stock_facts.StockReceived, "ledger.stock", "sku"),
    FactType(stock_facts.StockExpected, "ledger.stock", "sku"),
    FactType(stock_facts.ReceiptOverdue, "ledger.stock", "sku"),
    FactType(stock_facts.StockAdjusted, "ledger.stock", "sku"),
    FactType(stock_facts.StockMoved, "ledger.stock", "sku"),
    FactType(stock_facts.TransferStarted, "ledger.stock", "sku"),
    FactType(stock_facts.TransferReceived, "ledger.stock", "sku"),
    FactType(stock_facts.TransferDiffered, "ledger.stock", "sku"),
    FactType(stock_facts.TransferAmended, "ledger.stock", "sku"),
    FactType(stock_facts.StockCounted, "ledger.stock", "sku"),
    FactType(stock_facts.CountRestated, "ledger.stock", "sku"),
    FactType(stock_facts.RecountRequested, "ledger.stock", "sku"),
    FactType(stock_facts.CountApprovalRequested, "ledger.stock", "sku"),
    FactType(stock_facts.CountRejected, "ledger.stock", "sku"),
    FactType(stock_facts.StockMarkedDamaged, "ledger.stock", "sku"),
    FactType(stock_facts.StockHeld, "ledger.stock", "sku"),
    FactType(stock_facts.QualityHoldReleased, "ledger.stock", "sku"),
    FactType(stock_facts.StockDisposed, "ledger.stock", "sku"),
    FactType(stock_facts.StockPolicySet, "ledger.stock", "sku"),
    FactType(stock_facts.ChannelPolicySet, "ledger.stock", "sku"),
    FactType(stock_facts.SkuCategorised, "ledger.stock", "sku"),
    FactType(stock_facts.CategoryRulesSet, "ledger.stock", "sku"),
    FactType(categories_facts.CategoryPolicySet, "ledger.service", "category_id"),
    FactType(categories_facts.CategoryMembershipChanged, "ledger.service", "category_id"),
    FactType(categories_facts.CategoryPolicyApplied, "ledger.service", "category_id"),
    FactType(stock_facts.SellingRulesResolved, "ledger.stock", "sku"),
    FactType(stock_facts.StockReserved, "ledger.stock", "sku"),
    FactType(stock_facts.ReservationRefused, "ledger.stock", "sku"),
    FactType(stock_facts.StockAwaited, "ledger.stock", "sku"),
    FactType(stock_facts.StockOffered, "ledger.stock", "sku"),
    FactType(stock_facts.BackorderPromised, "ledger.stock", "sku"),
    FactType(stock_facts.StockReleased, "ledger.stock", "sku"),
    FactType(stock_facts.WaitEnded, "ledger.stock", "sku"),
    FactType(stock_facts.ReleaseTombstoned, "ledger.stock", "sku"),
    FactType(stock_facts.ReservationExpired, "ledger.stock", "sku"),
    FactType(stock_facts.StockShipped, "ledger.stock", "sku"),
    FactType(stock_facts.StockRejected, "ledger.stock", "sku"),
    FactType(stock_facts.StockReturned, "ledger.stock", "sku"),
    FactType(stock_facts.StockShortfallFound, "ledger.stock", "sku"),
    FactType(stock_facts.LowStockDetected, "ledger.stock", "sku"),
    FactType(locations_facts.LocationRegistered, "ledger.service", "location_id"),
    FactType(locations_facts.LocationPolicySet, "ledger.service", "location_id"),
    FactType(routing_facts.RoutingRulesSet, "ledger.service", "rules_id"),
    FactType(cases_facts.CaseOpened, "ledger.service", "case_id"),
    FactType(cases_facts.CaseNoteAdded, "ledger.service", "case_id"),
    FactType(cases_facts.CaseAssigned, "ledger.service", "case_id"),
    FactType(cases_facts.CaseResolved, "ledger.service", "case_id"),
    FactType(cases_facts.CaseReopened, "ledger.service", "case_id"),
)

#: By name. `CommandRefused` is written to the topic of the command that it answers.
COMMANDS: Mapping[str, CommandType] = {row.name: row for row in _COMMANDS}
FACTS: Mapping[str, FactType] = {row.name: row for row in _FACTS}
REFUSAL_SCHEMA = f"{FACT_NAMESPACE}.{CommandRefused.__name__}"
