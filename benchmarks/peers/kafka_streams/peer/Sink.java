package peer;

import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import peer.avro.*;

/** Facts → tables: folds a batch in memory, writes each key once, offsets in the same transaction. */
public final class Sink {
    static final class Order {
        long version, placedAt, open, allocated, refused, ordered, value, updatedAt;
        String channel, customer, currency, country;
    }

    static final class Line {
        String sku, location;
        Long price;
        long open, allocated, refused, ordered;
    }

    static final class Stock {
        long onHand, reserved;
    }

    record LineKey(String order, String line) implements Comparable<LineKey> {
        public int compareTo(LineKey o) {
            int c = order.compareTo(o.order);
            return c != 0 ? c : line.compareTo(o.line);
        }
    }

    record StockKey(String sku, String location) implements Comparable<StockKey> {
        public int compareTo(StockKey o) {
            int c = sku.compareTo(o.sku);
            return c != 0 ? c : location.compareTo(o.location);
        }
    }

    private final Connection db;
    private final CopyManager copy;
    private final PreparedStatement upsertOrders, upsertLines, upsertStock, upsertOffsets, progress;
    private final TreeMap<String, Order> orders = new TreeMap<>();
    private final TreeMap<LineKey, Line> lines = new TreeMap<>();
    private final TreeMap<StockKey, Stock> stock = new TreeMap<>();
    private final Map<TopicPartition, Long> positions = new HashMap<>();
    private StringBuilder history = new StringBuilder(1 << 20);
    private long facts, allocatedOrders;

    Sink(String url) throws SQLException {
        db = DriverManager.getConnection(url);
        db.setAutoCommit(false);
        copy = db.unwrap(PGConnection.class).getCopyAPI();
        try (Statement s = db.createStatement()) {
            // The offsets stand in the same transaction: what a crash of the database takes is read again from Kafka.
            s.execute("SET synchronous_commit TO off");
            s.execute("SET jit TO off"); // compiling takes longer than any statement here
        }
        db.commit();
        upsertOrders = db.prepareStatement("""
            INSERT INTO peer_orders AS t (order_id, version, channel, customer_id, currency, placed_at, country, open, allocated, refused, ordered, value_minor, updated_at)
            SELECT k, v, ch, cu, cy, to_timestamp(p / 1e6), co, o, a, r, q, val, to_timestamp(u / 1e3)
            FROM unnest(?::text[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
              AS x(k, v, ch, cu, cy, p, co, o, a, r, q, val, u)
            ON CONFLICT (order_id) DO UPDATE SET version = greatest(t.version, excluded.version), channel = coalesce(excluded.channel, t.channel),
              customer_id = coalesce(excluded.customer_id, t.customer_id), currency = coalesce(excluded.currency, t.currency),
              placed_at = coalesce(excluded.placed_at, t.placed_at), country = coalesce(excluded.country, t.country), open = t.open + excluded.open,
              allocated = t.allocated + excluded.allocated, refused = t.refused + excluded.refused, ordered = t.ordered + excluded.ordered,
              value_minor = t.value_minor + excluded.value_minor, updated_at = excluded.updated_at""");
        upsertLines = db.prepareStatement("""
            INSERT INTO peer_lines AS t (order_id, line_id, sku, unit_price_minor, location_id, open, allocated, refused, ordered)
            SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
            ON CONFLICT (order_id, line_id) DO UPDATE SET sku = coalesce(excluded.sku, t.sku), unit_price_minor = coalesce(excluded.unit_price_minor, t.unit_price_minor),
              location_id = coalesce(excluded.location_id, t.location_id), open = t.open + excluded.open, allocated = t.allocated + excluded.allocated,
              refused = t.refused + excluded.refused, ordered = t.ordered + excluded.ordered""");
        upsertStock = db.prepareStatement("""
            INSERT INTO peer_stock AS t (sku, location_id, on_hand, reserved) SELECT * FROM unnest(?::text[], ?::text[], ?::bigint[], ?::bigint[])
            ON CONFLICT (sku, location_id) DO UPDATE SET on_hand = t.on_hand + excluded.on_hand, reserved = t.reserved + excluded.reserved""");
        upsertOffsets = db.prepareStatement("""
            INSERT INTO sink_offsets SELECT * FROM unnest(?::text[], ?::int[], ?::bigint[])
            ON CONFLICT (topic, part) DO UPDATE SET next_offset = excluded.next_offset""");
        progress = db.prepareStatement("UPDATE sink_progress SET facts = facts + ?, allocated_orders = allocated_orders + ?");
    }

    private void fold(SpecificRecord fact) {
        facts++;
        if (fact instanceof OrderPlaced f) {
            Order o = order(f.getOrderId(), f.getVersion(), f.getRecordedAt());
            o.channel = f.getChannel();
            o.customer = f.getCustomerId();
            o.currency = f.getCurrency();
            o.country = f.getCountry();
            o.placedAt = f.getOccurredAt();
            StringBuilder data = row(f.getOrderId(), f.getVersion(), "OrderPlaced", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId());
            data.append("{\"customer_id\":");
            json(data, f.getCustomerId());
            data.append(",\"currency\":");
            json(data, f.getCurrency());
            data.append(",\"country\":");
            json(data, f.getCountry());
            data.append(",\"postcode\":");
            json(data, f.getPostcode());
            data.append(",\"lines\":[");
            String separator = "";
            for (OrderLine l : f.getLines()) {
                long q = l.getQuantity();
                o.ordered += q;
                o.open += q;
                o.value += q * l.getUnitPriceMinor();
                Line line = line(f.getOrderId(), l.getLineId());
                line.sku = l.getSku();
                line.price = l.getUnitPriceMinor();
                line.ordered += q;
                line.open += q;
                data.append(separator).append("{\"line_id\":");
                json(data, l.getLineId());
                data.append(",\"sku\":");
                json(data, l.getSku());
                data.append(",\"quantity\":").append(q).append(",\"unit_price_minor\":").append(l.getUnitPriceMinor()).append('}');
                separator = ",";
            }
            data.append("]}\n");
        } else if (fact instanceof LineAllocated f) {
            Order o = order(f.getOrderId(), f.getVersion(), f.getRecordedAt());
            o.open -= f.getQuantity();
            o.allocated += f.getQuantity();
            Line line = line(f.getOrderId(), f.getLineId());
            line.open -= f.getQuantity();
            line.allocated += f.getQuantity();
            line.location = f.getLocationId();
            of(row(f.getOrderId(), f.getVersion(), "LineAllocated", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId()),
                    f.getLineId(), f.getSku(), f.getQuantity(), f.getLocationId(), null);
        } else if (fact instanceof LineRefused f) {
            Order o = order(f.getOrderId(), f.getVersion(), f.getRecordedAt());
            o.open -= f.getQuantity();
            o.refused += f.getQuantity();
            Line line = line(f.getOrderId(), f.getLineId());
            line.open -= f.getQuantity();
            line.refused += f.getQuantity();
            of(row(f.getOrderId(), f.getVersion(), "LineRefused", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId()),
                    f.getLineId(), f.getSku(), f.getQuantity(), null, f.getReason());
        } else if (fact instanceof OrderAllocated f) {
            order(f.getOrderId(), f.getVersion(), f.getRecordedAt());
            allocatedOrders++;
            row(f.getOrderId(), f.getVersion(), "OrderAllocated", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId()).append("{}\n");
        } else if (fact instanceof StockReceived f) {
            stock(f.getSku(), f.getLocationId()).onHand += f.getQuantity();
            of(row(null, f.getVersion(), "StockReceived", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId()),
                    null, f.getSku(), f.getQuantity(), f.getLocationId(), null);
        } else if (fact instanceof StockReserved f) {
            stock(f.getSku(), f.getLocationId()).reserved += f.getQuantity();
            of(row(f.getOrderId(), f.getVersion(), "StockReserved", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId()),
                    f.getLineId(), f.getSku(), f.getQuantity(), f.getLocationId(), null);
        } else if (fact instanceof ReservationRefused f) {
            of(row(f.getOrderId(), f.getVersion(), "ReservationRefused", f.getOccurredAt(), f.getRecordedAt(), f.getCommandId(), f.getChannel(), f.getEventId(), f.getCorrelationId()),
                    f.getLineId(), f.getSku(), f.getQuantity(), null, f.getReason());
        } else throw new IllegalArgumentException("unknown fact " + fact.getClass());
    }

    private Order order(String id, long version, long at) {
        Order o = orders.computeIfAbsent(id, k -> new Order());
        o.version = Math.max(o.version, version);
        o.updatedAt = Math.max(o.updatedAt, at);
        return o;
    }

    private Line line(String order, String line) {
        return lines.computeIfAbsent(new LineKey(order, line), k -> new Line());
    }

    private Stock stock(String sku, String location) {
        return stock.computeIfAbsent(new StockKey(sku, location), k -> new Stock());
    }

    /** Begins a line of the history, in COPY's text format, up to its JSON. */
    private StringBuilder row(String order, long version, String fact, long occurredAt, long recordedAt, String command, String channel, String event, String correlation) {
        text(order);
        history.append(version).append('\t').append(fact).append('\t');
        history.append(Instant.ofEpochSecond(occurredAt / 1_000_000, occurredAt % 1_000_000 * 1000)).append('\t');
        history.append(Instant.ofEpochMilli(recordedAt)).append('\t');
        text(command);
        text(channel);
        text(event);
        text(correlation);
        return history;
    }

    private void text(String s) {
        if (s == null) history.append("\\N");
        else for (int i = 0; i < s.length(); i++) escaped(history, s.charAt(i));
        history.append('\t');
    }

    private static void escaped(StringBuilder out, char c) {
        switch (c) {
            case '\\' -> out.append("\\\\");
            case '\t' -> out.append("\\t");
            case '\n' -> out.append("\\n");
            case '\r' -> out.append("\\r");
            default -> out.append(c);
        }
    }

    private static void of(StringBuilder out, String line, String sku, long quantity, String location, String reason) {
        out.append("{\"sku\":");
        json(out, sku);
        out.append(",\"quantity\":").append(quantity);
        if (line != null) json(out.append(",\"line_id\":"), line);
        if (location != null) json(out.append(",\"location_id\":"), location);
        if (reason != null) json(out.append(",\"reason\":"), reason);
        out.append("}\n");
    }

    /** A JSON string inside COPY text: the backslash of JSON's escape is escaped once more. */
    private static void json(StringBuilder out, String s) {
        if (s == null) {
            out.append("null");
            return;
        }
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') escaped(out.append("\\\\"), c);
            else if (c < ' ') out.append(String.format("\\\\u%04x", (int) c));
            else out.append(c);
        }
        out.append('"');
    }

    private void write() throws Exception {
        copy.copyIn("COPY peer_history FROM STDIN", new StringReader(history.toString()));
        history.setLength(0);
        if (!orders.isEmpty()) {
            var all = orders.values();
            bind(upsertOrders, 1, "text", orders.keySet().toArray());
            bind(upsertOrders, 2, "bigint", all.stream().map(o -> o.version).toArray());
            bind(upsertOrders, 3, "text", all.stream().map(o -> o.channel).toArray());
            bind(upsertOrders, 4, "text", all.stream().map(o -> o.customer).toArray());
            bind(upsertOrders, 5, "text", all.stream().map(o -> o.currency).toArray());
            bind(upsertOrders, 6, "bigint", all.stream().map(o -> o.placedAt == 0 ? null : o.placedAt).toArray());
            bind(upsertOrders, 7, "text", all.stream().map(o -> o.country).toArray());
            bind(upsertOrders, 8, "bigint", all.stream().map(o -> o.open).toArray());
            bind(upsertOrders, 9, "bigint", all.stream().map(o -> o.allocated).toArray());
            bind(upsertOrders, 10, "bigint", all.stream().map(o -> o.refused).toArray());
            bind(upsertOrders, 11, "bigint", all.stream().map(o -> o.ordered).toArray());
            bind(upsertOrders, 12, "bigint", all.stream().map(o -> o.value).toArray());
            bind(upsertOrders, 13, "bigint", all.stream().map(o -> o.updatedAt).toArray());
            upsertOrders.executeUpdate();
            orders.clear();
        }
        if (!lines.isEmpty()) {
            var all = lines.values();
            bind(upsertLines, 1, "text", lines.keySet().stream().map(LineKey::order).toArray());
            bind(upsertLines, 2, "text", lines.keySet().stream().map(LineKey::line).toArray());
            bind(upsertLines, 3, "text", all.stream().map(l -> l.sku).toArray());
            bind(upsertLines, 4, "bigint", all.stream().map(l -> l.price).toArray());
            bind(upsertLines, 5, "text", all.stream().map(l -> l.location).toArray());
            bind(upsertLines, 6, "bigint", all.stream().map(l -> l.open).toArray());
            bind(upsertLines, 7, "bigint", all.stream().map(l -> l.allocated).toArray());
            bind(upsertLines, 8, "bigint", all.stream().map(l -> l.refused).toArray());
            bind(upsertLines, 9, "bigint", all.stream().map(l -> l.ordered).toArray());
            upsertLines.executeUpdate();
            lines.clear();
        }
        if (!stock.isEmpty()) {
            bind(upsertStock, 1, "text", stock.keySet().stream().map(StockKey::sku).toArray());
            bind(upsertStock, 2, "text", stock.keySet().stream().map(StockKey::location).toArray());
            bind(upsertStock, 3, "bigint", stock.values().stream().map(s -> s.onHand).toArray());
            bind(upsertStock, 4, "bigint", stock.values().stream().map(s -> s.reserved).toArray());
            upsertStock.executeUpdate();
            stock.clear();
        }
        bind(upsertOffsets, 1, "text", positions.keySet().stream().map(TopicPartition::topic).toArray());
        bind(upsertOffsets, 2, "int", positions.keySet().stream().map(TopicPartition::partition).toArray());
        bind(upsertOffsets, 3, "bigint", positions.values().toArray());
        upsertOffsets.executeUpdate();
        positions.clear();
        progress.setLong(1, facts);
        progress.setLong(2, allocatedOrders);
        progress.executeUpdate();
        db.commit();
        facts = allocatedOrders = 0;
    }

    private void bind(PreparedStatement s, int i, String type, Object[] values) throws SQLException {
        s.setArray(i, db.createArrayOf(type, values));
    }

    public static void main(String[] args) throws Exception {
        App.endWithParent();
        int most = Integer.parseInt(App.env("SINK_BATCH", "20000"));
        long linger = Long.parseLong(App.env("SINK_LINGER", "0")) * 1_000_000;
        Map<String, Object> p = new HashMap<>();
        p.put("bootstrap.servers", App.env("BOOTSTRAP", "127.0.0.1:9092"));
        p.put("group.id", App.PREFIX + "peer-sink");
        p.put("enable.auto.commit", "false");
        p.put("isolation.level", "read_committed");
        p.put("max.poll.records", String.valueOf(most));
        p.put("max.partition.fetch.bytes", "4194304");
        Sink sink = new Sink(App.env("JDBC", ""));
        try (var consumer = new KafkaConsumer<>(p, new StringDeserializer(), new AvroSerde<SpecificRecord>().deserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : List.of(App.PREFIX + "ledger.orders", App.PREFIX + "ledger.stock"))
                for (PartitionInfo i : consumer.partitionsFor(topic)) partitions.add(new TopicPartition(topic, i.partition()));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            try (Statement s = sink.db.createStatement(); ResultSet r = s.executeQuery("SELECT topic, part, next_offset FROM sink_offsets")) {
                while (r.next()) consumer.seek(new TopicPartition(r.getString(1), r.getInt(2)), r.getLong(3));
            }
            sink.db.commit();
            System.out.println("SINK READY");
            while (true) {
                int n = 0;
                long begun = 0;
                do {
                    ConsumerRecords<String, SpecificRecord> records = consumer.poll(n == 0 ? Duration.ofMillis(500) : Duration.ofMillis(20));
                    if (n == 0) begun = System.nanoTime();
                    for (ConsumerRecord<String, SpecificRecord> r : records) sink.fold(r.value());
                    records.nextOffsets().forEach((tp, o) -> sink.positions.put(tp, o.offset()));
                    n += records.count();
                } while (n > 0 && n < most && System.nanoTime() - begun < linger);
                if (n > 0) sink.write();
            }
        }
    }
}
