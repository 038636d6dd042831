-- Facts that readers skip, counted by reason: repeat, late_writer, gap_or_other_rules, cut_or_rival, no_place. Also records that are no
-- facts: no_frame, unknown_schema, retired_schema, no_fact, bad_avro, trailing_bytes (each of these is also in dead-letters).
CREATE TABLE IF NOT EXISTS skipped_facts (
    reader      text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    count       bigint NOT NULL,
    last_offset bigint NOT NULL,                 -- of the newest
    PRIMARY KEY (reader, topic, partition, reason)
);
