"""Commands on their way in: read from a source, checked at the door, sent to Kafka, and what became of each."""
