-- Counts with large differences, which another person must approve. Counts that are applied at once are not here.

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

-- First counts with large differences, which need a second count; count_id is null once that was done.

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
