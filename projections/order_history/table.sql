-- Every fact of an order, refusals included, one row each. Only ever added to.

CREATE TABLE IF NOT EXISTS order_history (
    order_id       text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,     -- number of the fact in the order's stream, from 1, without gaps
    fact           text NOT NULL,       -- its type, for example OrderPlaced
    occurred_at    timestamptz,         -- by the channel's clock
    recorded_at    timestamptz,         -- log time: when the broker took the command
    command_id     text,
    channel        text,                -- that sent the command; order-ledger for the product's own reactions
    actor          text,
    event_id       text,
    correlation_id text,
    data           jsonb                -- what the fact says
);

-- Not unique: that no fact is written twice is the offset's doing, and a check would cost a third of the speed.
CREATE INDEX IF NOT EXISTS order_history_order_id ON order_history (order_id, version);
