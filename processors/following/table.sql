-- How far each follower of the ledger is, per partition. Written in the same transaction as what follows from the facts before it, or
-- after it where that is sent to Kafka: never before.

CREATE TABLE IF NOT EXISTS follower_positions (
    follower      text COLLATE "C" NOT NULL,     -- who reads: projector, reactions, effects
    topic         text COLLATE "C" NOT NULL,     -- of the ledger, without prefix
    partition     integer NOT NULL,
    next_offset   bigint NOT NULL,               -- first fact that nothing was made of yet
    last_decision bigint NOT NULL,               -- the decision that the next one must follow; 0 before the first
    epoch         bigint NOT NULL,               -- generation of the intake, and
    intake_offset bigint NOT NULL,               -- place in it of the command that was decided last; -1 before the first
    topic_id      text NOT NULL,                 -- the broker's: a topic that was made anew has another
    PRIMARY KEY (follower, topic, partition)
);
