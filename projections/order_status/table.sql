-- Orders as they are now. Written by the projector alone; every column is a fold of facts. Money is in minor units.
-- Columns may be null where a fact did not say; times are UTC.

CREATE TABLE IF NOT EXISTS order_status (
    order_id       text COLLATE "C" PRIMARY KEY,
    version        bigint,                        -- of the newest fact that is no refusal: what expected_version is compared with
    channel        text,                          -- that placed it
    customer_id    text,
    currency       text,                          -- ISO 4217, of all amounts
    placed_at      timestamptz,                   -- by the channel's clock
    promised_by    timestamptz,                   -- the promise as it is now
    promise        text,                          -- what is promised by then: delivery, dispatch
    due_by         timestamptz,                   -- the promise that delivery is measured by: the first, or as the customer moved it
    country        text,                          -- where it goes
    region         text,
    service_level  text,                          -- standard, express, same_day
    allocation     text,                          -- ship_available, all_or_nothing
    release_at     timestamptz,                   -- not to be allocated before
    released       boolean,                       -- whether locations were ever looked for
    open           bigint NOT NULL DEFAULT 0,     -- units: ordered = open + backordered + allocated + shipped + cancelled
    backordered    bigint NOT NULL DEFAULT 0,     -- wait for stock
    allocated      bigint NOT NULL DEFAULT 0,     -- held at a location
    shipped        bigint NOT NULL DEFAULT 0,
    cancelled      bigint NOT NULL DEFAULT 0,
    ordered        bigint NOT NULL DEFAULT 0,     -- everything that was ever asked for and not amended away
    delivered      bigint NOT NULL DEFAULT 0,     -- of those shipped
    returned       bigint NOT NULL DEFAULT 0,     -- of those delivered
    value_minor    bigint NOT NULL DEFAULT 0,     -- of the lines as placed, without charges (as it is now: order_lines)
    charges_minor  bigint NOT NULL DEFAULT 0,     -- postage, fees, discounts, as placed
    refunded_minor bigint NOT NULL DEFAULT 0,
    active_holds   bigint NOT NULL DEFAULT 0,
    updated_at     timestamptz,                   -- log time of the newest fact that changed it
    status         text GENERATED ALWAYS AS (
        CASE
            WHEN ordered > 0 AND cancelled = ordered THEN 'cancelled'
            WHEN open + backordered + allocated = 0 AND shipped > 0 THEN
                CASE
                    WHEN returned = shipped THEN 'returned'
                    WHEN returned > 0 THEN 'partially_returned'
                    WHEN delivered = shipped THEN 'delivered'
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
    hold     text COLLATE "C" NOT NULL,     -- payment, fraud, address, stock, customer, other
    active   bigint NOT NULL DEFAULT 0,     -- 1 while it holds, 0 when it is over
    PRIMARY KEY (order_id, hold)
);

CREATE TABLE IF NOT EXISTS order_lines (
    order_id         text COLLATE "C" NOT NULL,
    line_id          text COLLATE "C" NOT NULL,
    sku              text,
    unit_price_minor bigint,
    cancel_after     timestamptz,                   -- what nothing is held for by then is cancelled
    customised       boolean,                       -- made for this customer
    open             bigint NOT NULL DEFAULT 0,     -- as in order_status, of this line
    backordered      bigint NOT NULL DEFAULT 0,
    allocated        bigint NOT NULL DEFAULT 0,
    shipped          bigint NOT NULL DEFAULT 0,
    cancelled        bigint NOT NULL DEFAULT 0,
    ordered          bigint NOT NULL DEFAULT 0,
    delivered        bigint NOT NULL DEFAULT 0,
    returned         bigint NOT NULL DEFAULT 0,
    promised         boolean,                       -- whether the customer was last told a time for units that wait
    told_expected_at timestamptz,                   -- the newest time that was told
    expected_at      timestamptz GENERATED ALWAYS AS ( -- when units that wait now are expected, as was told
        CASE WHEN promised AND backordered > 0 THEN told_expected_at END
    ) STORED,
    exchange_for     text,                          -- the return that the line was added in exchange for
    awaits_return    boolean,                       -- until all that was announced of it has come
    held_until       text GENERATED ALWAYS AS (     -- the return that has to come before its units may leave
        CASE WHEN awaits_return AND open + backordered + allocated > 0 THEN exchange_for END
    ) STORED,
    PRIMARY KEY (order_id, line_id)
) WITH (fillfactor = 80);

CREATE INDEX IF NOT EXISTS order_lines_cancel_after ON order_lines (cancel_after)
    WHERE cancel_after IS NOT NULL AND open + backordered > 0;

CREATE TABLE IF NOT EXISTS order_line_locations (
    order_id    text COLLATE "C" NOT NULL,
    line_id     text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    allocated   bigint NOT NULL DEFAULT 0,     -- units held there
    shipped     bigint NOT NULL DEFAULT 0,     -- units that left there
    PRIMARY KEY (order_id, line_id, location_id)
) WITH (fillfactor = 80);

-- What waits at a location to be sent: sourcing counts it for each batch.
CREATE INDEX IF NOT EXISTS order_line_locations_waiting
ON order_line_locations (location_id, order_id) WHERE allocated > 0;

CREATE TABLE IF NOT EXISTS order_shipments (
    order_id        text COLLATE "C" NOT NULL,
    shipment_id     text COLLATE "C" NOT NULL,
    location_id     text,            -- where it left
    carrier         text,
    service         text,
    tracking_number text,
    scan            text,            -- the carrier's newest word, in log order; dispatched before the first
    expected_at     timestamptz,     -- delivery, as the carrier expects it
    dispatched_at   timestamptz,
    delivered_at    timestamptz,
    due_by          timestamptz,     -- the promise it was measured by when it was delivered
    on_time         boolean,         -- null without a promise
    status          text GENERATED ALWAYS AS ( -- a scan that comes late does not take a delivery back
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
    PRIMARY KEY (order_id, shipment_id, line_id)
);

CREATE TABLE IF NOT EXISTS order_returns (
    order_id     text COLLATE "C" NOT NULL,
    return_id    text COLLATE "C" NOT NULL,
    rma          text,            -- the number that the customer writes on the parcel
    resolution   text,            -- refund, exchange; null for goods that came unannounced
    scan         text,            -- requested, the carrier's newest word, received, withdrawn
    announced    boolean,         -- false where goods came back that nobody had announced
    requested_at timestamptz,
    received_at  timestamptz,     -- of the newest parcel
    location_id  text,            -- where it was opened
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
    quantity    bigint NOT NULL DEFAULT 0,     -- units announced
    received    bigint NOT NULL DEFAULT 0,     -- units that came
    disposition text,                          -- restock, damaged, dispose, inspect: the newest
    reason      text,                          -- as the customer gave it
    reason_code text,                          -- size, changed_mind, wrong_item, missing, damaged, …
    PRIMARY KEY (order_id, return_id, line_id)
);

CREATE TABLE IF NOT EXISTS order_amendments ( -- those that stock was asked for first: more than was ordered
    order_id     text COLLATE "C" NOT NULL,
    amendment_id text COLLATE "C" NOT NULL,
    status       text,            -- requested, applied, declined
    by           text,            -- customer, seller
    reason       text,            -- why it was declined: not_enough, lost, cancelled, changed, shipped, waiting
    promised_by  timestamptz,     -- the promise that came with it
    requested_at timestamptz,     -- log time
    answered_at  timestamptz,     -- log time
    PRIMARY KEY (order_id, amendment_id)
);

CREATE TABLE IF NOT EXISTS order_amendment_lines (
    order_id       text COLLATE "C" NOT NULL,
    amendment_id   text COLLATE "C" NOT NULL,
    line_id        text COLLATE "C" NOT NULL,
    sku            text,
    ordered_before bigint,          -- units that the customer was to get in all, cancelled ones not in it
    ordered        bigint,          -- units that were asked for
    available      bigint,          -- units that would have been accepted; null where it is not known to be fewer
    PRIMARY KEY (order_id, amendment_id, line_id)
);
