"""A real Apache Kafka and a real PostgreSQL from Python wheels and pinned jars: no Docker, no Java, no root needed.

`cluster.Embedded` starts, finds and stops both; `kafka_server` and `postgres_server` handle one server each; `jars`
fetches and checks Kafka's jars; `identity` distinguishes our running servers from stale or foreign process ids.
"""
