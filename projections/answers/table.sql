-- What became of each command that came from outside. Only ever added to. A command that repeats an id gets no row of its
-- own: its answer is the first one's. An id that comes again with another body does get one, a refusal.

CREATE TABLE IF NOT EXISTS answers (
    topic         text COLLATE "C" NOT NULL,     -- of the ledger, without prefix
    partition     integer NOT NULL,              -- the same in intake and ledger
    epoch         bigint NOT NULL,               -- generation of the intake topics
    intake_offset bigint NOT NULL,               -- of the command
    channel       text COLLATE "C" NOT NULL,
    command_id    text COLLATE "C" NOT NULL,
    stream_id     text,
    outcome       text NOT NULL,                 -- accepted, refused
    fact          text,                          -- the first fact of the decision
    command       text,                          -- type of the command, where it was refused
    code          text,                          -- stable word for the reason
    what          text,
    detail        text,
    hint          text,
    at_most       bigint,                        -- what would have been accepted, where a number says it
    recorded_at   timestamptz,
    PRIMARY KEY (topic, partition, epoch, intake_offset)
);

CREATE INDEX IF NOT EXISTS answers_command ON answers (channel, command_id);
