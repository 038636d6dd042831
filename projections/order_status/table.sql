-- Orders as they are now. Only the projector writes it; every column comes from facts. Money is in minor units.
-- A column may be null if the fact left it out; times are UTC.

CREATE TABLE IF NOT EXISTS order_status (
    order_id       text COLLATE "C" PRIMARY KEY,
    version        bigint,
    channel        text,
    customer_id    text,
    currency       text,
    placed_at      timestamptz,
    promised_by    timestamptz,
    promise        text,
    due_by         timestamptz,
    country        text,
    region         text,
    service_level  text,
    allocation     text,
    release_at     timestamptz,
    released       boolean,
    open           bigint NOT NULL DEFAULT 0,
    backordered    bigint NOT NULL DEFAULT 0,
    allocated      bigint NOT NULL DEFAULT 0,
    shipped        bigint NOT NULL DEFAULT 0,
    cancelled      bigint NOT NULL DEFAULT 0,
    ordered        bigint NOT NULL DEFAULT 0,
    delivered      bigint NOT NULL DEFAULT 0,
    returned       bigint NOT NULL DEFAULT 0,
    returned_by_customer bigint NOT NULL DEFAULT 0,
    replaced       bigint NOT NULL DEFAULT 0,
    written_off    bigint NOT NULL DEFAULT 0,
    value_minor    bigint NOT NULL DEFAULT 0,
    charges_minor  bigint NOT NULL DEFAULT 0,
    refunded_minor bigint NOT NULL DEFAULT 0,
    active_holds   bigint NOT NULL DEFAULT 0,
    updated_at     timestamptz,
    status         text GENERATED ALWAYS AS (
        CASE
            WHEN ordered > 0 AND cancelled = ordered THEN 'cancelled'
            WHEN open + backordered + allocated = 0 AND shipped > 0 THEN
                CASE
                    WHEN returned = shipped THEN 'returned'
                    WHEN returned > 0 THEN 'partially_returned'
                    WHEN delivered > 0 AND delivered + written_off = shipped THEN 'delivered'
                    ELSE 'shipped'
                END
            WHEN shipped > 0 THEN 'partially_shipped'
            WHEN active_holds > 0 THEN 'held'
            WHEN ordered = 0 THEN 'placed'
            WHEN allocated = ordered - cancelled THEN 'allocated'
            WHEN allocated > 0 THEN 'partially_allocated'
            WHEN backordered > 0 AND open = 0 THEN 'backordered'
            ELSE 'placed'
        END
    ) STORED
) WITH (fillfactor = 80); -- room on the page for the updates that every order gets

CREATE INDEX IF NOT EXISTS order_status_placed_at ON order_status (placed_at);
CREATE INDEX IF NOT EXISTS order_status_customer_id ON order_status (customer_id);
CREATE INDEX IF NOT EXISTS order_status_release_at ON order_status (release_at) WHERE NOT released;

CREATE TABLE IF NOT EXISTS order_holds (
    order_id text COLLATE "C" NOT NULL,
    hold     text COLLATE "C" NOT NULL,
    active   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, hold)
);

CREATE TABLE IF NOT EXISTS order_lines (
    order_id         text COLLATE "C" NOT NULL,
    line_id          text COLLATE "C" NOT NULL,
    sku              text,
    unit_price_minor bigint,
    cancel_after     timestamptz,
    customised       boolean,
    open             bigint NOT NULL DEFAULT 0,
    backordered      bigint NOT NULL DEFAULT 0,
    allocated        bigint NOT NULL DEFAULT 0,
    shipped          bigint NOT NULL DEFAULT 0,
    cancelled        bigint NOT NULL DEFAULT 0,
    ordered          bigint NOT NULL DEFAULT 0,
    delivered        bigint NOT NULL DEFAULT 0,
    returned         bigint NOT NULL DEFAULT 0,
    returned_by_customer bigint NOT NULL DEFAULT 0,
    replaced       bigint NOT NULL DEFAULT 0,
    written_off    bigint NOT NULL DEFAULT 0,
    promised         boolean,
    told_expected_at timestamptz,
    expected_at      timestamptz GENERATED ALWAYS AS (
        CASE WHEN promised AND backordered > 0 THEN told_expected_at END
    ) STORED,
    exchange_for     text,
    awaits_return    boolean,
    held_for_return  text GENERATED ALWAYS AS (
        CASE WHEN awaits_return AND open + backordered + allocated > 0 THEN exchange_for END
    ) STORED,
    PRIMARY KEY (order_id, line_id)
) WITH (fillfactor = 80);

CREATE INDEX IF NOT EXISTS order_lines_cancel_after ON order_lines (cancel_after)
    WHERE cancel_after IS NOT NULL AND open + backordered > replaced;

CREATE TABLE IF NOT EXISTS order_line_locations (
    order_id    text COLLATE "C" NOT NULL,
    line_id     text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    allocated   bigint NOT NULL DEFAULT 0,
    shipped     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, line_id, location_id)
) WITH (fillfactor = 80);

-- Parcels that wait at a location to be sent: sourcing counts them for each batch.
CREATE INDEX IF NOT EXISTS order_line_locations_waiting
ON order_line_locations (location_id, order_id) WHERE allocated > 0;

CREATE TABLE IF NOT EXISTS order_shipments (
    order_id        text COLLATE "C" NOT NULL,
    shipment_id     text COLLATE "C" NOT NULL,
    location_id     text,
    carrier         text,
    service         text,
    tracking_number text,
    scan            text,
    expected_at     timestamptz,
    dispatched_at   timestamptz,
    delivered_at    timestamptz,
    due_by          timestamptz,
    on_time         boolean,
    status          text GENERATED ALWAYS AS (
        CASE WHEN delivered_at IS NOT NULL THEN 'delivered' ELSE scan END
    ) STORED,
    PRIMARY KEY (order_id, shipment_id)
) WITH (fillfactor = 80);

CREATE TABLE IF NOT EXISTS order_shipment_lines (
    order_id    text COLLATE "C" NOT NULL,
    shipment_id text COLLATE "C" NOT NULL,
    line_id     text COLLATE "C" NOT NULL,
    sku         text,
    quantity    bigint NOT NULL DEFAULT 0,
    replaced    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, shipment_id, line_id)
);

CREATE TABLE IF NOT EXISTS order_returns (
    order_id     text COLLATE "C" NOT NULL,
    return_id    text COLLATE "C" NOT NULL,
    rma          text,
    resolution   text,
    scan         text,
    cause        text,
    announced    boolean,
    requested_at timestamptz,
    received_at  timestamptz,
    location_id  text,
    status       text GENERATED ALWAYS AS (
        CASE WHEN received_at IS NOT NULL THEN 'received' ELSE scan END
    ) STORED,
    PRIMARY KEY (order_id, return_id)
);

CREATE TABLE IF NOT EXISTS order_return_lines (
    order_id    text COLLATE "C" NOT NULL,
    return_id   text COLLATE "C" NOT NULL,
    line_id     text COLLATE "C" NOT NULL,
    sku         text,
    quantity    bigint NOT NULL DEFAULT 0,
    received    bigint NOT NULL DEFAULT 0,
    disposition text,
    reason      text,
    reason_code text,
    PRIMARY KEY (order_id, return_id, line_id)
);

CREATE TABLE IF NOT EXISTS order_amendments (
    order_id     text COLLATE "C" NOT NULL,
    amendment_id text COLLATE "C" NOT NULL,
    status       text,
    by           text,
    reason       text,
    promised_by  timestamptz,
    requested_at timestamptz,
    answered_at  timestamptz,
    PRIMARY KEY (order_id, amendment_id)
);

CREATE TABLE IF NOT EXISTS order_amendment_lines (
    order_id       text COLLATE "C" NOT NULL,
    amendment_id   text COLLATE "C" NOT NULL,
    line_id        text COLLATE "C" NOT NULL,
    sku            text,
    ordered_before bigint,
    ordered        bigint,
    available      bigint,
    PRIMARY KEY (order_id, amendment_id, line_id)
);
