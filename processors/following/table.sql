-- How far each follower of the ledger is, per partition. Written in the same transaction as the results of the facts before it; if these
-- are sent to Kafka, after them. Never before them.

CREATE TABLE IF NOT EXISTS follower_positions (
    follower      text COLLATE "C" NOT NULL,     -- projector, reactions or effects
    topic         text COLLATE "C" NOT NULL,     -- of the ledger, without prefix
    partition     integer NOT NULL,
    next_offset   bigint NOT NULL,               -- first fact that is not handled yet
    last_decision bigint NOT NULL,               -- the decision that the next one must follow; 0 before the first
    epoch         bigint NOT NULL,               -- generation of the intake, and
    intake_offset bigint NOT NULL,               -- offset in it of the command that was decided last; -1 before the first
    topic_id      text NOT NULL,                 -- the broker's id: a recreated topic has another one
    PRIMARY KEY (follower, topic, partition)
);
