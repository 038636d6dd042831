-- Base rows of the KPIs; figures are summed when read (definitions.py). No index but the keys: each would be written again
-- with every scan of every order, and a figure reads all rows of its days anyway.

CREATE TABLE IF NOT EXISTS kpi_orders (
    order_id text COLLATE "C" PRIMARY KEY,
    channel text,
    country text,
    region text,
    placed_at timestamptz,
    release_at timestamptz,
    promised_by timestamptz,            -- as placed; for later ones see kpi_promises
    ordered bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    removed_by_seller bigint NOT NULL DEFAULT 0,     -- cancelled or amended away
    removed_by_customer bigint NOT NULL DEFAULT 0,
    withdrawn_version bigint,           -- the customer's last removal
    released_version bigint,            -- the first unit that was set aside, or left without
    shipped bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    inferred bigint NOT NULL DEFAULT 0, -- of the delivered units: came back though no scan had shown their arrival
    returned bigint NOT NULL DEFAULT 0,
    damaged bigint NOT NULL DEFAULT 0,  -- of the returned units
    deviations bigint NOT NULL DEFAULT 0,   -- dispatches that differed from the plan
    failures bigint NOT NULL DEFAULT 0,     -- scans that say lost or returned_to_sender
    first_shipped_at timestamptz,
    last_shipped_at timestamptz,
    delivered_at timestamptz            -- the last unit that reached the customer
) WITH (fillfactor = 70);               -- room for HOT updates: an order is updated a dozen times

CREATE TABLE IF NOT EXISTS kpi_promises (
    order_id text COLLATE "C",
    version bigint,
    moved_at timestamptz NOT NULL,
    by_seller boolean NOT NULL,
    due_by timestamptz NOT NULL,        -- what is promised from here on
    PRIMARY KEY (order_id, version)
);

CREATE TABLE IF NOT EXISTS kpi_holds (
    order_id text COLLATE "C",
    version bigint,
    changed_at timestamptz NOT NULL,
    held boolean NOT NULL,              -- true: on the customer's hold from here on
    PRIMARY KEY (order_id, version)
);

CREATE TABLE IF NOT EXISTS kpi_parcels (
    order_id text COLLATE "C",
    shipment_id text COLLATE "C",
    location_id text,
    carrier text,
    units bigint NOT NULL DEFAULT 0,
    dispatched_at timestamptz,
    failed text,                        -- lost or returned_to_sender, if a carrier said so
    delivered_at timestamptz,
    PRIMARY KEY (order_id, shipment_id)
) WITH (fillfactor = 85);               -- a parcel is updated once, when it arrives

CREATE TABLE IF NOT EXISTS kpi_counts (
    sku text COLLATE "C",
    location_id text COLLATE "C",
    counted_at timestamptz,
    count_id text COLLATE "C",
    counted bigint,
    variance bigint,
    tolerance bigint,
    accurate boolean,
    PRIMARY KEY (sku, location_id, counted_at, count_id)
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
