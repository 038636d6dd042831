-- What orders are routed by: the rules, how busy each location was, and how fast its stock goes.

CREATE TABLE IF NOT EXISTS routing_rules (
    rules_id text COLLATE "C" PRIMARY KEY, -- `routing` are those in force, others are drafts
    number   bigint,                       -- version of these rules, from 1
    name     text,                         -- what the rule file calls itself
    text     text,                         -- the rule file, as the planner wrote it
    set_at   timestamptz,                  -- log time
    set_by   text                          -- who sent it, else the channel
);

CREATE TABLE IF NOT EXISTS location_days (
    partition   integer NOT NULL,          -- of ledger.orders: no row is written by two projectors
    location_id text COLLATE "C" NOT NULL,
    day         date NOT NULL,             -- UTC, by the warehouse's clock
    dispatched  bigint NOT NULL DEFAULT 0, -- parcels that left
    PRIMARY KEY (partition, location_id, day)
);

CREATE INDEX IF NOT EXISTS location_days_day ON location_days (day, location_id);

CREATE OR REPLACE VIEW location_parcels AS
SELECT location_id, day, sum(dispatched)::bigint AS dispatched
FROM location_days
GROUP BY location_id, day;

CREATE TABLE IF NOT EXISTS sku_weeks (
    sku         text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    week        date NOT NULL,             -- its Monday, UTC, by the warehouse's clock
    shipped     bigint NOT NULL DEFAULT 0, -- units that left
    PRIMARY KEY (sku, location_id, week)
);
