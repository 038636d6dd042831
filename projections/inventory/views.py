"""More views for people: stock of a SKU at all locations, and what each channel may sell."""

from projections.model import View

INVENTORY_TOTALS = View(
    "v_inventory_totals",
    "Stock per SKU, at all locations together",
    {
        "sku": "the SKU",
        "on_hand": "units that are there",
        "available": "units that can be reserved where the location is registered",
        "reserved": "units reserved for orders and carts",
        "safety": "safety stock, as far as there are units for it",
        "damaged": "units that are damaged",
        "quality_hold": "units that are being inspected",
        "incoming": "units on their way; not part of on_hand",
        "sellable": "units that every channel may sell: the sum of sellable in v_inventory",
    },
    """SELECT
    sku,
    sum(on_hand)::bigint,
    sum(available)::bigint,
    sum(reserved)::bigint,
    sum(safety)::bigint,
    sum(damaged)::bigint,
    sum(quality_hold)::bigint,
    sum(incoming)::bigint,
    sum(sellable)::bigint
FROM inventory
GROUP BY sku""",
)

CHANNEL_SELLABLE = View(
    "v_channel_sellable",
    "Units that each channel may sell, one row per SKU, location and channel",
    {
        "sku": "the SKU",
        "location_id": "the location",
        "channel": "the channel; * is every channel without a row of its own",
        "sellable": "units that it may sell",
    },
    """SELECT
    i.sku,
    i.location_id,
    n.channel,
    CASE
        WHEN i.registered IS NOT TRUE OR coalesce(own.excluded, every.excluded, false) OR EXISTS (
            SELECT FROM location_channels AS l
            WHERE l.location_id = i.location_id AND l.channel IN (n.channel, '*') AND l.excluded
        ) THEN 0
        ELSE greatest(0, i.available - coalesce(own.buffer, every.buffer, 0))
    END AS sellable
FROM inventory AS i
CROSS JOIN LATERAL (
    SELECT '*' AS channel
    UNION
    SELECT r.channel FROM channel_rules AS r
    WHERE r.sku = i.sku AND r.location_id = i.location_id AND r.buffer IS NOT NULL
    UNION
    SELECT l.channel FROM location_channels AS l WHERE l.location_id = i.location_id AND l.excluded
) AS n
LEFT JOIN channel_rules AS own
    ON own.sku = i.sku AND own.location_id = i.location_id AND own.channel = n.channel AND own.buffer IS NOT NULL
LEFT JOIN channel_rules AS every
    ON every.sku = i.sku AND every.location_id = i.location_id AND every.channel = '*' AND every.buffer IS NOT NULL""",
)
