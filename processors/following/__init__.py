"""One follower of accepted facts, for everybody who reads the ledger: projector, reactions, effects.

    bytes ──decode──► (link, fact) ──reader's rule──► facts that count ──► the host ──► its rows AND its position

A follower has a name. Its position in each partition is a row of `follower_positions`, moved by compare-and-set in the
host's own transaction, so a copy that was overtaken writes nothing. Transport and decoder are handed in.

positions.py   the rows: place, move, what is stored; a topic that was made anew is refused
reading.py     one partition, fact by fact: the reader's rule, where a restart begins, holes
follower.py    all partitions of a process, fact by fact: assigned, overtaken, looked back
columns.py     the reader's rule over a whole batch in one comparison, for the projector
consuming.py   the loop on a Kafka consumer: batches, assignments, looks back
database.py    a connection that comes back; patience.py: what is away is waited for

`processors.verify` uses nothing of this: it is the second opinion.
"""
