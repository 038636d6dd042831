"""Everything that does I/O and knows no domain: clients, settings, servers, processes, logs.

`events` and `projections` are pure; `processors` and `gateway` use this room for Kafka, PostgreSQL, child processes and
progress. Nothing here imports any other room.
"""
