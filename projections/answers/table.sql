-- The answer to each command from outside. Rows are only added. A command that repeats an id gets no row: its answer is
-- the first one's. An id that comes again with another body gets its own row, a refusal.

CREATE TABLE IF NOT EXISTS answers (
    topic         text COLLATE "C" NOT NULL,
    partition     integer NOT NULL,
    epoch         bigint NOT NULL,
    intake_offset bigint NOT NULL,
    channel       text COLLATE "C" NOT NULL,
    command_id    text COLLATE "C" NOT NULL,
    stream_id     text,
    outcome       text NOT NULL,
    fact          text,
    command       text,
    code          text,
    what          text,
    detail        text,
    hint          text,
    at_most       bigint,
    recorded_at   timestamptz,
    PRIMARY KEY (topic, partition, epoch, intake_offset)
);

CREATE INDEX IF NOT EXISTS answers_command ON answers (channel, command_id);
