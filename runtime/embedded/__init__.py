"""A real Apache Kafka and a real PostgreSQL from Python wheels and pinned jars: no Docker, no Java, no root needed.

`cluster.Embedded` starts, finds again and stops both; `kafka_server`, `postgres_server` know one server each; `jars`
fetches and checks what Kafka runs on; `identity` tells a live server of ours from a stale or foreign process id.
"""
