-- Counts that differ by so much that another person has to approve them. What is applied at once is not here.

CREATE TABLE IF NOT EXISTS stock_counts (
    sku          text COLLATE "C" NOT NULL,
    location_id  text COLLATE "C" NOT NULL,
    count_id     text COLLATE "C" NOT NULL,
    status       text,
    counted      bigint,
    counted_at   timestamptz,
    expected     bigint,
    variance     bigint,
    counted_by   text,
    reason       text,
    document     text,
    requested_at timestamptz,
    decided_at   timestamptz,
    decided_by   text,
    PRIMARY KEY (sku, location_id, count_id)
);

CREATE INDEX IF NOT EXISTS stock_counts_waiting ON stock_counts (requested_at) WHERE status = 'waiting';

-- A first count that differs by so much that somebody has to count again; count_id is null when that was done.

CREATE TABLE IF NOT EXISTS stock_recounts (
    sku          text COLLATE "C" NOT NULL,
    location_id  text COLLATE "C" NOT NULL,
    asked_at     timestamptz,
    count_id     text,
    counted      bigint,
    counted_at   timestamptz,
    expected     bigint,
    variance     bigint,
    counted_by   text,
    reason       text,
    document     text,
    PRIMARY KEY (sku, location_id)
);
