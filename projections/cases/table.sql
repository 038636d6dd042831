-- Service cases as they are now. No index but the key: a shop has few cases compared with its orders.

CREATE TABLE IF NOT EXISTS cases (
    case_id text COLLATE "C" PRIMARY KEY,
    order_id text,
    channel text,
    topic text,
    urgency text,
    opened_at timestamptz,
    resolved_at timestamptz,
    resolved_version bigint,
    reopened_version bigint,
    reopened bigint NOT NULL DEFAULT 0,
    state text GENERATED ALWAYS AS (
        CASE WHEN resolved_version > coalesce(reopened_version, 0) THEN 'resolved' ELSE 'open' END
    ) STORED
);
