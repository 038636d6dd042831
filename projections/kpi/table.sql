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
    promise text,                       -- what is promised by then: delivery or dispatch
    ordered bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    removed_by_seller bigint NOT NULL DEFAULT 0,     -- cancelled or amended away
    removed_by_customer bigint NOT NULL DEFAULT 0,
    shipped bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    inferred bigint NOT NULL DEFAULT 0, -- of the delivered units: came back though no scan had shown their arrival
    inferred_at timestamptz,            -- the last of these returns
    returned bigint NOT NULL DEFAULT 0,
    crossed bigint NOT NULL DEFAULT 0,  -- parcels with units that had been called off
    first_shipped_at timestamptz
) WITH (fillfactor = 70);               -- room for HOT updates: an order is updated a dozen times

CREATE TABLE IF NOT EXISTS kpi_promises (
    order_id text COLLATE "C",
    amendment text COLLATE "C",         -- its number, or the version of one that was made at once
    version bigint,
    moved_at timestamptz NOT NULL,      -- when it was asked for
    by_seller boolean,
    due_by timestamptz,                 -- what is promised from here on; null: it was not made (yet)
    PRIMARY KEY (order_id, amendment)
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
    differed bigint NOT NULL DEFAULT 0, -- 1: it left otherwise than planned
    lost_at timestamptz,                -- the last time that the carrier said so
    sent_back_at timestamptz,           -- returned to sender, likewise
    delivered_at timestamptz,
    PRIMARY KEY (order_id, shipment_id)
) WITH (fillfactor = 85);               -- a parcel is updated once, when it arrives

CREATE TABLE IF NOT EXISTS kpi_complaints (
    order_id text COLLATE "C",
    said_in text COLLATE "C",           -- return or case
    said_id text COLLATE "C",           -- the return of that order, or the case
    reason_code text COLLATE "C",
    said_at timestamptz,
    PRIMARY KEY (order_id, said_in, said_id, reason_code)
);

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
