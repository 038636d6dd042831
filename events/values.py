"""Types that all kinds of streams share: checked text, numbers, times and small records.

Limits are part of the types, so a command that breaks one is refused on arrival, with the name of the field:

>>> import msgspec
>>> msgspec.convert(-1, Quantity)
Traceback (most recent call last):
    ...
msgspec.ValidationError: Expected `int` >= 1
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

# The largest number in a command. Larger ones are typing errors. The sum of a few million of these fits into 64 bits.
NUMBER_MAX = 10**12
# The largest value of an order, in minor units: tables can sum thousands of such orders within 64 bits.
ORDER_VALUE_MAX_MINOR = 10**15
# The limit of 64 bits in Avro and PostgreSQL: for numbers that the ledger adds up itself.
LONG_MAX = 2**63 - 1
# Characters of a text. Enough for a note or a reason; a fact with several texts still fits into one record.
TEXT_MAX = 4000

# Characters of an id.
ID_LENGTH_MAX = 200

# Years of times in a command, in UTC. Others are typing errors; times at the ends of the calendar cannot even be
# converted to UTC, and a fact with one would be unreadable. `msgspec` has no limits for times: `events.form` checks.
YEAR_MIN = 1900
YEAR_MAX = 9000
TIME_MIN = datetime(YEAR_MIN, 1, 1, tzinfo=UTC)
TIME_MAX = datetime(YEAR_MAX, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=TEXT_MAX)]
CountryCode = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Quantity = Annotated[int, Meta(ge=1, le=NUMBER_MAX)]
Natural = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Integer = Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
Total = Annotated[int, Meta(ge=-LONG_MAX, le=LONG_MAX)]
Delta = Annotated[int, Meta(ge=-NUMBER_MAX, le=NUMBER_MAX)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
UtcTime = Annotated[datetime, Meta(tz=True)]


#: Why a customer returns something or opens a case. KPIs can count codes, but not the free text beside them.
ReasonCode = Literal[
    "size", "changed_mind", "wrong_item", "missing", "damaged", "defective", "not_as_described", "late", "duplicate",
    "other",
]  # fmt: skip


class Attribute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One named property."""

    name: Id
    value: Text


class Charge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An amount of an order other than goods: postage, a fee, a discount."""

    code: Id
    amount_minor: Integer
    description: Text | None = None


class ShipTo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where an order goes."""

    country: CountryCode
    region: Text | None = None
    postcode: Text | None = None
    time_zone: Id | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    name: Text | None = None
    street: Text | None = None
    city: Text | None = None
    email: Text | None = None
    phone: Text | None = None


class Consumed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A reservation, or a wait, that a dispatch used up."""

    attempt: Natural
    location_id: Text
    quantity: Quantity


class ChannelRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one channel may sell; `buffer` is unset if no rule names the channel any more."""

    channel: Id
    buffer: Natural | None = None
    excluded: bool


class Buffer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units kept back from one channel."""

    channel: Id
    quantity: Natural


class CategoryRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What channels may sell of a category, everywhere or at one location."""

    location_id: Id | None = None
    buffers: tuple[Buffer, ...]
    excluded_channels: tuple[Id, ...]
