"""Commands on their way in: read from a source, checked, sent to Kafka, with an outcome for each."""
