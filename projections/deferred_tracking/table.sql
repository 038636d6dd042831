-- Carriers' scans that came before their parcel's dispatch, one row each. Only the projector writes it.

CREATE TABLE IF NOT EXISTS deferred_tracking (
    order_id    text COLLATE "C" NOT NULL,
    number      bigint NOT NULL,
    waits_for   text COLLATE "C",
    status      text,
    scanned_at  timestamptz,
    deferred_at timestamptz,
    ends_at     timestamptz,
    ended       text,
    ended_at    timestamptz,
    state       text GENERATED ALWAYS AS (coalesce(ended, 'waiting')) STORED,
    PRIMARY KEY (order_id, number)
);

CREATE INDEX IF NOT EXISTS deferred_tracking_waiting ON deferred_tracking (ends_at) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS deferred_tracking_expired ON deferred_tracking (ended_at) WHERE ended = 'expired';
