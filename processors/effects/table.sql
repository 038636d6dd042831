-- One row for each call to the outside world. It stays for ever, so that a fact that is read again makes no second call.

CREATE TABLE IF NOT EXISTS effect_calls (
    number          bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- the order in which calls of a stream are made
    effect          text COLLATE "C" NOT NULL,     -- webhook, …
    event_id        text COLLATE "C" NOT NULL,     -- of the fact: the idempotency key
    stream_kind     text COLLATE "C" NOT NULL,     -- of the fact's stream; with stream_id it names the stream
    stream_id       text COLLATE "C" NOT NULL,
    version         bigint NOT NULL,               -- of the fact in its stream
    fact            text COLLATE "C" NOT NULL,     -- its name
    body            text NOT NULL,                 -- what is asked, byte for byte
    status          text COLLATE "C" NOT NULL DEFAULT 'waiting', -- waiting, answered (a command has yet to be sent), delivered, dead
    attempts        integer NOT NULL DEFAULT 0,
    next_at         timestamptz,                   -- of the next attempt; null behind an earlier call of the stream
    made_at         timestamptz NOT NULL DEFAULT now(),
    asked_at        timestamptz,                   -- of the last attempt
    closed_at       timestamptz,                   -- delivered or dead since
    response_status integer,                       -- of the last answer
    response        text,                          -- its body, cut off at 64 kB
    error           text,                          -- why the last attempt failed
    PRIMARY KEY (effect, event_id)
);
CREATE INDEX IF NOT EXISTS effect_calls_due ON effect_calls (next_at)
    WHERE status IN ('waiting', 'answered') AND next_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS effect_calls_open ON effect_calls (effect, stream_kind, stream_id, number)
    WHERE status IN ('waiting', 'answered');

-- The end of each partition when an effect was first started. Facts before it are history and cause no calls.
CREATE TABLE IF NOT EXISTS effect_beginnings (
    effect       text COLLATE "C" NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    partition    integer NOT NULL,
    begin_offset bigint NOT NULL,
    PRIMARY KEY (effect, topic, partition)
);

CREATE OR REPLACE VIEW v_effect_calls AS
SELECT effect, fact, stream_kind, stream_id, version, status, attempts, next_at, made_at, asked_at, closed_at, response_status, response, error,
       event_id
FROM effect_calls;
