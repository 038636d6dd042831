-- Stock per SKU and location. on_hand = available + reserved + safety + damaged + quality_hold, always; incoming stands outside.

CREATE TABLE IF NOT EXISTS inventory (
    sku             text COLLATE "C" NOT NULL,
    location_id     text COLLATE "C" NOT NULL,
    on_hand         bigint NOT NULL DEFAULT 0,     -- units that are there
    reserved        bigint NOT NULL DEFAULT 0,     -- of these, held for orders
    damaged         bigint NOT NULL DEFAULT 0,
    quality_hold    bigint NOT NULL DEFAULT 0,     -- came back and are being inspected
    incoming        bigint NOT NULL DEFAULT 0,     -- on their way here; they stand outside, nothing of them is available
    safety_stock    bigint,                        -- units that the planner sets apart, as far as there are any
    reorder_point   bigint,                        -- at or below so many available units, stock is low
    buffer          bigint,                        -- the largest number of units kept back from a channel
    excluded        boolean,                       -- whether a channel may sell none of it
    low_detected_at timestamptz,                   -- log time of the newest LowStockDetected
    safety          bigint GENERATED ALWAYS AS (
        least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
    ) STORED,
    available       bigint GENERATED ALWAYS AS (   -- below zero when more is held than there is: that is said, not hidden
        on_hand - reserved - damaged - quality_hold
        - least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
    ) STORED,
    sellable        bigint GENERATED ALWAYS AS (   -- to every channel: what the strictest rule leaves (else: channel_sellable)
        CASE WHEN excluded THEN 0 ELSE greatest(
            0,
            on_hand - reserved - damaged - quality_hold
            - least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
            - coalesce(buffer, 0)
        ) END
    ) STORED,
    low_since       timestamptz GENERATED ALWAYS AS ( -- null as soon as there is enough again
        CASE
            WHEN on_hand - reserved - damaged - quality_hold
                - least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
                <= reorder_point THEN low_detected_at
        END
    ) STORED,
    PRIMARY KEY (sku, location_id)
) WITH (fillfactor = 70); -- a popular SKU's row is updated by every batch

CREATE INDEX IF NOT EXISTS inventory_location_id ON inventory (location_id);

CREATE OR REPLACE VIEW inventory_totals AS
SELECT
    sku,
    sum(on_hand)::bigint      AS on_hand,
    sum(available)::bigint    AS available,
    sum(reserved)::bigint     AS reserved,
    sum(safety)::bigint       AS safety,
    sum(damaged)::bigint      AS damaged,
    sum(quality_hold)::bigint AS quality_hold,
    sum(incoming)::bigint     AS incoming,
    sum(sellable)::bigint     AS sellable
FROM inventory
GROUP BY sku;

CREATE TABLE IF NOT EXISTS expiring_reservations (
    sku         text COLLATE "C" NOT NULL,
    order_id    text COLLATE "C" NOT NULL,
    line_id     text COLLATE "C" NOT NULL,
    attempt     bigint NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    quantity    bigint NOT NULL DEFAULT 0,     -- units still held; 0 when it is over
    expires_at  timestamptz                    -- the hold lapses then
);

-- Four ids may be longer together than an index takes.
CREATE UNIQUE INDEX IF NOT EXISTS expiring_reservations_key
    ON expiring_reservations (sku, order_id, line_id, attempt, md5(location_id));

CREATE INDEX IF NOT EXISTS expiring_reservations_expires_at ON expiring_reservations (expires_at) WHERE quantity > 0;
-- What a cart holds, when it becomes an order.
CREATE INDEX IF NOT EXISTS expiring_reservations_order_id ON expiring_reservations (order_id) WHERE quantity > 0;

CREATE TABLE IF NOT EXISTS expected_receipts (
    sku         text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,     -- purchase_order, transfer
    reference   text COLLATE "C" NOT NULL,     -- its number
    location_id text COLLATE "C" NOT NULL,     -- where the goods are to arrive
    quantity    bigint NOT NULL DEFAULT 0,     -- units still on their way; 0 when it is over
    expected_at timestamptz,                   -- null: nobody said when
    overdue     boolean NOT NULL DEFAULT false, -- that time has passed without them
    PRIMARY KEY (sku, source, reference, location_id)
);

CREATE INDEX IF NOT EXISTS expected_receipts_expected_at ON expected_receipts (expected_at)
    WHERE quantity > 0 AND NOT overdue;

CREATE TABLE IF NOT EXISTS transfers (             -- units from one location to another; a number used again adds up
    sku              text COLLATE "C" NOT NULL,
    transfer_id      text COLLATE "C" NOT NULL,
    from_location_id text,
    to_location_id   text,
    started_at       timestamptz,                   -- by the channel's clock
    sent             bigint NOT NULL DEFAULT 0,
    received         bigint NOT NULL DEFAULT 0,     -- damaged ones included
    damaged          bigint NOT NULL DEFAULT 0,
    missing          bigint NOT NULL DEFAULT 0,     -- it was closed without them: somebody should look at it
    on_their_way     bigint GENERATED ALWAYS AS (sent - received - missing) STORED,
    PRIMARY KEY (sku, transfer_id)
);

CREATE INDEX IF NOT EXISTS transfers_missing ON transfers (sku) WHERE missing > 0;

CREATE TABLE IF NOT EXISTS channel_rules (          -- what came of all rules: the most specific has won
    sku         text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,          -- '*' is every channel that has no row of its own
    buffer      bigint,                             -- units kept back from it; null: no rule names it any more
    excluded    boolean NOT NULL DEFAULT false,     -- it may sell none
    PRIMARY KEY (sku, location_id, channel)
);

CREATE TABLE IF NOT EXISTS location_channels (      -- which channels a location does not serve, whatever the SKU
    location_id text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,          -- '*' is every channel
    excluded    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (location_id, channel)
);

-- What each channel may sell; '*' is every channel that has no row of its own. Exact for each channel, unlike
-- inventory.sellable, which no channel exceeds.
CREATE OR REPLACE VIEW channel_sellable AS
SELECT
    i.sku,
    i.location_id,
    n.channel,
    CASE
        WHEN coalesce(own.excluded, every.excluded, false) OR EXISTS (
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
    ON every.sku = i.sku AND every.location_id = i.location_id AND every.channel = '*' AND every.buffer IS NOT NULL;
