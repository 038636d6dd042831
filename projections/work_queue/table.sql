-- Orders that a person is to decide about, one row for each order and queue. Written by the projector alone.

CREATE TABLE IF NOT EXISTS work_queue (
    order_id       text COLLATE "C" NOT NULL,
    queue          text COLLATE "C" NOT NULL,  -- routing_exceptions, rejections …
    since          timestamptz,                -- by the clock of whoever said so; the newest time
    reason         text,                       -- in one word
    detail         text,                       -- in a sentence
    queued_version bigint,                     -- of the order's stream: the newest OrderQueued
    ended_at       timestamptz,
    resolution     text,                       -- of the newest end: retry, cancel, leave; over: by itself
    ended_version  bigint,
    state          text GENERATED ALWAYS AS (
        CASE WHEN ended_version IS NULL OR queued_version > ended_version THEN 'open' ELSE 'closed' END
    ) STORED,
    PRIMARY KEY (order_id, queue)
);

CREATE INDEX IF NOT EXISTS work_queue_open ON work_queue (queue, since) WHERE state = 'open';
