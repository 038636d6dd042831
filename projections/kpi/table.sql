-- Base rows of the KPIs; figures are summed when read (definitions.py). No index but the keys: every scan of an order
-- would write it again, and a figure reads all rows of its days anyway.

CREATE TABLE IF NOT EXISTS kpi_orders (
    order_id text COLLATE "C" PRIMARY KEY,
    channel text,
    country text,
    region text,
    placed_at timestamptz,
    release_at timestamptz,
    promised_by timestamptz,
    promise text,
    ordered bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    removed_by_seller bigint NOT NULL DEFAULT 0,
    removed_by_customer bigint NOT NULL DEFAULT 0,
    shipped bigint NOT NULL DEFAULT 0,
    delivered bigint NOT NULL DEFAULT 0,
    inferred bigint NOT NULL DEFAULT 0,
    inferred_at timestamptz,
    returned bigint NOT NULL DEFAULT 0,
    returned_by_customer bigint NOT NULL DEFAULT 0,
    crossed bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);               -- room for HOT updates: an order is updated a dozen times

CREATE TABLE IF NOT EXISTS kpi_promises (
    order_id text COLLATE "C",
    amendment text COLLATE "C",
    version bigint,
    moved_at timestamptz NOT NULL,
    by_seller boolean,
    due_by timestamptz,
    PRIMARY KEY (order_id, amendment)
);

CREATE TABLE IF NOT EXISTS kpi_holds (
    order_id text COLLATE "C",
    version bigint,
    changed_at timestamptz NOT NULL,
    held boolean NOT NULL,
    PRIMARY KEY (order_id, version)
);

CREATE TABLE IF NOT EXISTS kpi_parcels (
    order_id text COLLATE "C",
    shipment_id text COLLATE "C",
    location_id text,
    carrier text,
    units bigint NOT NULL DEFAULT 0,
    replaced bigint NOT NULL DEFAULT 0,
    dispatched_at timestamptz,
    differed bigint NOT NULL DEFAULT 0,
    lost_at timestamptz,
    to_sender_at timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (order_id, shipment_id)
) WITH (fillfactor = 85);               -- a parcel is updated once, when it arrives

CREATE TABLE IF NOT EXISTS kpi_complaints (
    order_id text COLLATE "C",
    said_in text COLLATE "C",
    said_id text COLLATE "C",
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

CREATE TABLE IF NOT EXISTS kpi_watermarks (
    topic text COLLATE "C",
    partition integer,
    as_of timestamptz,
    PRIMARY KEY (topic, partition)
);
