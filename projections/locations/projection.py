"""Places that hold stock, as they are now."""

from projections.locations.fold import fold
from projections.model import Column, Projection, Table

#: Each fact is the whole row, so a field that it leaves out becomes unset.
LOCATIONS = Table(
    "locations",
    (
        Column("location_id", "text", "key", "the location"),
        Column("name", "text", "replace", "its name"),
        Column("kind", "text", "replace", "warehouse, store, third_party or supplier"),
        Column("latitude", "double precision", "replace", "degrees, WGS 84"),
        Column("longitude", "double precision", "replace", "degrees, WGS 84"),
        Column("country", "text", "replace", "ISO 3166-1 alpha-2"),
        Column("daily_capacity", "bigint", "replace", "parcels a day; null is unlimited"),
        Column(
            "cost_minor_per_parcel", "bigint", "replace", "cost of a parcel, in minor units of the seller's currency"
        ),
    ),
    "Places that hold stock, as they were last registered",
)

PROJECTION = Projection("locations", (LOCATIONS,), fold)

__all__ = ["PROJECTION"]
