-- Orders that wait for a person's decision, one row for each order and queue. Only the projector writes it.

CREATE TABLE IF NOT EXISTS work_queue (
    order_id       text COLLATE "C" NOT NULL,
    queue          text COLLATE "C" NOT NULL,
    since          timestamptz,
    reason         text,
    detail         text,
    queued_version bigint,
    ended_at       timestamptz,
    resolution     text,
    ended_version  bigint,
    state          text GENERATED ALWAYS AS (
        CASE WHEN ended_version IS NULL OR queued_version > ended_version THEN 'open' ELSE 'closed' END
    ) STORED,
    PRIMARY KEY (order_id, queue)
);

CREATE INDEX IF NOT EXISTS work_queue_open ON work_queue (queue, since) WHERE state = 'open';
