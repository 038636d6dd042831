"""Everything that touches the world and knows no domain: clients, settings, servers, processes, logs.

The rooms with meaning (`events`, `projections`) are pure; `processors` and `gateway` come here for Kafka, PostgreSQL,
child processes and progress. Nothing here imports any other room.
"""
