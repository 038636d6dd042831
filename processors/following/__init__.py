"""The follower of accepted facts, for all readers of the ledger: projector, reactions, effects.

    bytes ──decode──► (link, fact) ──reader's rule──► facts that count ──► the host ──► its rows AND its position

A follower has a name. Its position in each partition is a row of `follower_positions`. The host moves it by
compare-and-set in its own transaction, so an overtaken copy writes nothing. The caller chooses transport and decoder.

positions.py   the rows: placing, moving, reading them; a recreated topic is refused
reading.py     one partition, fact by fact: the reader's rule, where a restart begins, holes
follower.py    all partitions of a process, fact by fact
columns.py     the reader's rule over a whole batch in one comparison, for the projector
consuming.py   the loop on a Kafka consumer: batches, assignments, checks of the stored positions
database.py    a connection that reconnects; patience.py waits for a service that is away

`processors.verify` uses nothing of this, so that it stays an independent check.
"""
