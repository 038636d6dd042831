-- How far the projector is, per partition; written in the same transaction as the rows that follow from the facts before it.

CREATE TABLE IF NOT EXISTS projector_offsets (
    topic         text COLLATE "C" NOT NULL,     -- of the ledger, without prefix
    partition     integer NOT NULL,
    next_offset   bigint NOT NULL,               -- first fact that is not in the tables yet
    last_decision bigint NOT NULL,               -- the decision that the next one must follow; 0 before the first
    epoch         bigint NOT NULL,               -- generation of the intake, and
    intake_offset bigint NOT NULL,               -- place in it of the command that was decided last; -1 before the first
    topic_id      text NOT NULL,                 -- the broker's: a topic that was made anew has another
    PRIMARY KEY (topic, partition)
);

-- Facts that readers pass over, counted by reason: repeat, late_writer, gap_or_other_rules, cut_or_rival, no_place; and what is no fact
-- at all: no_frame, unknown_schema, retired_schema, no_fact, bad_avro, trailing_bytes (each of these also stands in dead-letters).
CREATE TABLE IF NOT EXISTS skipped_facts (
    reader      text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    count       bigint NOT NULL,
    last_offset bigint NOT NULL,                 -- of the newest
    PRIMARY KEY (reader, topic, partition, reason)
);
