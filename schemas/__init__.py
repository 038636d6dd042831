"""Avro contracts of every command and fact, the codec, and the registry's view of them. Imports nothing of ours."""
