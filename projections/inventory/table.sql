-- Stock per SKU and location. on_hand = available + reserved + safety + damaged + quality_hold, always; incoming stands outside.

CREATE TABLE IF NOT EXISTS inventory (
    sku             text COLLATE "C" NOT NULL,
    location_id     text COLLATE "C" NOT NULL,
    on_hand         bigint NOT NULL DEFAULT 0,
    reserved        bigint NOT NULL DEFAULT 0,
    damaged         bigint NOT NULL DEFAULT 0,
    quality_hold    bigint NOT NULL DEFAULT 0,
    incoming        bigint NOT NULL DEFAULT 0,
    safety_stock    bigint,
    reorder_point   bigint,
    buffer          bigint,
    excluded        boolean,
    registered      boolean,
    located_at      timestamptz,
    low_detected_at timestamptz,
    safety          bigint GENERATED ALWAYS AS (
        least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
    ) STORED,
    available       bigint GENERATED ALWAYS AS (
        on_hand - reserved - damaged - quality_hold
        - least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
    ) STORED,
    sellable        bigint GENERATED ALWAYS AS (
        CASE WHEN excluded OR registered IS NOT TRUE THEN 0 ELSE greatest(
            0,
            on_hand - reserved - damaged - quality_hold
            - least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
            - coalesce(buffer, 0)
        ) END
    ) STORED,
    low_since       timestamptz GENERATED ALWAYS AS (
        CASE
            WHEN on_hand - reserved - damaged - quality_hold
                - least(coalesce(safety_stock, 0), greatest(0, on_hand - reserved - damaged - quality_hold))
                <= reorder_point THEN low_detected_at
        END
    ) STORED,
    PRIMARY KEY (sku, location_id)
) WITH (fillfactor = 70); -- a popular SKU's row is updated by every batch

CREATE INDEX IF NOT EXISTS inventory_location_id ON inventory (location_id);
-- For doctor; usually there is none.
CREATE INDEX IF NOT EXISTS inventory_unregistered ON inventory (location_id) WHERE registered IS NOT TRUE;

CREATE TABLE IF NOT EXISTS expiring_reservations (
    sku         text COLLATE "C" NOT NULL,
    order_id    text COLLATE "C" NOT NULL,
    line_id     text COLLATE "C" NOT NULL,
    attempt     bigint NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    quantity    bigint NOT NULL DEFAULT 0,
    expires_at  timestamptz
);

-- Four ids together may be longer than an index allows.
CREATE UNIQUE INDEX IF NOT EXISTS expiring_reservations_key
    ON expiring_reservations (sku, order_id, line_id, attempt, md5(location_id));

CREATE INDEX IF NOT EXISTS expiring_reservations_expires_at ON expiring_reservations (expires_at) WHERE quantity > 0;
-- To find a cart's reservations when it becomes an order.
CREATE INDEX IF NOT EXISTS expiring_reservations_order_id ON expiring_reservations (order_id) WHERE quantity > 0;

CREATE TABLE IF NOT EXISTS expected_receipts (
    sku         text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    reference   text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    quantity    bigint NOT NULL DEFAULT 0,
    expected_at timestamptz,
    overdue     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (sku, source, reference, location_id)
);

CREATE INDEX IF NOT EXISTS expected_receipts_expected_at ON expected_receipts (expected_at)
    WHERE quantity > 0 AND NOT overdue;

CREATE TABLE IF NOT EXISTS transfers (
    sku              text COLLATE "C" NOT NULL,
    transfer_id      text COLLATE "C" NOT NULL,
    from_location_id text,
    to_location_id   text,
    started_at       timestamptz,
    sent             bigint NOT NULL DEFAULT 0,
    received         bigint NOT NULL DEFAULT 0,
    damaged          bigint NOT NULL DEFAULT 0,
    missing          bigint NOT NULL DEFAULT 0,
    on_their_way     bigint GENERATED ALWAYS AS (sent - received - missing) STORED,
    PRIMARY KEY (sku, transfer_id)
);

CREATE INDEX IF NOT EXISTS transfers_missing ON transfers (sku) WHERE missing > 0;

CREATE TABLE IF NOT EXISTS channel_rules (
    sku         text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    buffer      bigint,
    excluded    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (sku, location_id, channel)
);

CREATE TABLE IF NOT EXISTS location_channels (
    location_id text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    excluded    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (location_id, channel)
);
