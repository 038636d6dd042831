-- Counts that differ by so much that another person has to approve them. What is applied at once is not here.

CREATE TABLE IF NOT EXISTS stock_counts (
    sku          text COLLATE "C" NOT NULL,
    location_id  text COLLATE "C" NOT NULL,
    count_id     text COLLATE "C" NOT NULL,
    status       text,                -- waiting, applied, rejected
    counted      bigint,
    counted_at   timestamptz,
    expected     bigint,              -- on record at that time, as known when it was reported; once applied, as known now
    variance     bigint,              -- counted - expected
    counted_by   text,                -- persons, with commas between them
    reason       text,                -- of the count; of its rejection once it is rejected
    document     text,
    requested_at timestamptz,         -- log time
    decided_at   timestamptz,         -- log time
    decided_by   text,
    PRIMARY KEY (sku, location_id, count_id)
);

CREATE INDEX IF NOT EXISTS stock_counts_waiting ON stock_counts (requested_at) WHERE status = 'waiting';

-- A first count that differs by so much that somebody has to count again; count_id is null when that was done.

CREATE TABLE IF NOT EXISTS stock_recounts (
    sku          text COLLATE "C" NOT NULL,
    location_id  text COLLATE "C" NOT NULL,
    asked_at     timestamptz,         -- log time
    count_id     text,
    counted      bigint,
    counted_at   timestamptz,
    expected     bigint,              -- on record at that time, as known when the count was reported
    variance     bigint,              -- counted - expected
    counted_by   text,                -- persons, with commas between them
    reason       text,
    document     text,
    PRIMARY KEY (sku, location_id)
);
