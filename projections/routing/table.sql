-- What routing reads: the rules, how busy each location was, and how fast its stock sells.

CREATE TABLE IF NOT EXISTS routing_rules (
    rules_id text COLLATE "C" PRIMARY KEY,
    number   bigint,
    name     text,
    text     text,
    set_at   timestamptz,
    set_by   text
);

CREATE TABLE IF NOT EXISTS location_days (
    partition   integer NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    day         date NOT NULL,
    dispatched  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (partition, location_id, day)
);

CREATE INDEX IF NOT EXISTS location_days_day ON location_days (day, location_id);

CREATE TABLE IF NOT EXISTS sku_weeks (
    sku         text COLLATE "C" NOT NULL,
    location_id text COLLATE "C" NOT NULL,
    week        date NOT NULL,
    shipped     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sku, location_id, week)
);
