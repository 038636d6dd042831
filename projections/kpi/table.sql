-- Base rows of the KPIs; figures are summed when read (definitions.py). No index but the keys: each would be written again
-- with every scan of every order, and a figure reads all rows of its days anyway.

CREATE TABLE IF NOT EXISTS kpi_orders (
    order_id text COLLATE "C" PRIMARY KEY,
    channel text,
    country text,
    region text,
    placed_at timestamptz,
    release_at timestamptz,
    due_by timestamptz,                 -- the promise that counts: as placed, or as the customer moved it
    ordered bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    cancelled_before_release bigint NOT NULL DEFAULT 0,  -- by the customer, while nothing was allocated or shipped
    cancelled_after_release bigint NOT NULL DEFAULT 0,   -- by the customer, later
    removed_by_seller bigint NOT NULL DEFAULT 0,         -- cancelled or amended away by the seller
    shipped bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    returned bigint NOT NULL DEFAULT 0,
    errors bigint NOT NULL DEFAULT 0,   -- dispatches that differed from the plan, parcels lost or sent back
    first_shipped_at timestamptz,
    last_shipped_at timestamptz,
    first_location_id text,
    delivered_at timestamptz            -- the last unit that reached the customer
) WITH (fillfactor = 70);               -- room for HOT updates: an order is updated a dozen times

CREATE TABLE IF NOT EXISTS kpi_holds (
    order_id text COLLATE "C",
    version bigint,
    changed_at timestamptz NOT NULL,
    held boolean NOT NULL,              -- true: on the customer's hold from here on
    PRIMARY KEY (order_id, version)
);

CREATE TABLE IF NOT EXISTS kpi_deliveries (
    order_id text COLLATE "C",
    shipment_id text COLLATE "C",
    location_id text,
    carrier text,
    delivered_at timestamptz,
    due_by timestamptz,
    on_time boolean,                    -- null: nothing was promised
    PRIMARY KEY (order_id, shipment_id)
);

CREATE TABLE IF NOT EXISTS kpi_counts (
    sku text COLLATE "C",
    version bigint,
    location_id text NOT NULL,
    counted_at timestamptz NOT NULL,
    counted bigint NOT NULL,
    variance bigint NOT NULL,
    tolerance bigint NOT NULL,
    accurate boolean NOT NULL,
    PRIMARY KEY (sku, version)
);

CREATE TABLE IF NOT EXISTS kpi_cases (
    case_id text COLLATE "C" PRIMARY KEY,
    order_id text,
    channel text,
    topic text,
    urgency text,
    opened_at timestamptz,
    resolved_at timestamptz,            -- the last resolution
    resolved_version bigint,
    reopened_version bigint,            -- later than resolved_version: the case runs on
    reopened bigint NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS kpi_watermarks (
    topic text COLLATE "C",
    partition integer,
    as_of timestamptz,
    PRIMARY KEY (topic, partition)
);
