"""One partition in a writer's hands: what it has sent of it, and what the broker has acknowledged."""

from collections import deque

from confluent_kafka import KafkaError, Message

from processors.ledger.partition import PartitionLedger


class Owned:
    """`sent` and `acked` count facts, `next_offset` is that of the next fact to be acknowledged. `disturbed`: why it
    must be taken over anew. `acked_intake` is the next offset to commit: all before is answered.
    """

    def __init__(self, ledger: PartitionLedger, next_offset: int) -> None:
        self.ledger = ledger
        self.next_offset = next_offset
        self.sent = 0
        self.acked = 0
        self.disturbed: str | None = None
        self.marks: deque[tuple[int, int, int]] = deque()
        self.acked_intake = ledger.next_intake
        self.committed = -1
        self.gap_seen = -1
        self.forgotten_before = 0

    @property
    def end_offset(self) -> int:
        """The offset behind all that was sent, if nobody else writes."""
        return self.next_offset + self.sent - self.acked

    def delivered(self, error: KafkaError | None, message: Message | None) -> None:
        """The broker's answer for one fact, in order of sending."""
        self.acked += 1
        if error is not None or message is None:
            self.disturbed = f"delivery failed: {error}"
        elif message.offset() != self.next_offset:
            self.disturbed = self.disturbed or "somebody else wrote to the partition"
        else:
            self.next_offset += 1
            self.ledger.last_offset = self.next_offset - 1
