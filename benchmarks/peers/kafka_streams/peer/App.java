package peer;

import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import peer.avro.*;

/** The topology: two processors, each with its stores, joined by two command topics; exactly_once_v2. */
public final class App {
    static final String PREFIX = env("PREFIX", "");
    // names of sink nodes
    static final String ORDER_COMMANDS = "order-commands", STOCK_COMMANDS = "stock-commands", ORDER_FACTS = "order-facts", STOCK_FACTS = "stock-facts";

    static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    /** Ends this process when the one that started it is gone: nobody writes to its standard input. */
    static void endWithParent() {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (IOException e) {
                e.printStackTrace();
            }
            Runtime.getRuntime().halt(1);
        }, "parent-watch");
        watch.setDaemon(true);
        watch.start();
    }

    private static <T extends SpecificRecord> StoreBuilder<KeyValueStore<String, T>> store(String name) {
        Serde<T> values = new AvroSerde<>();
        var builder = Stores.keyValueStoreBuilder(
                env("STORES", "memory").equals("memory") ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name),
                Serdes.String(), values).withLoggingEnabled(Map.of());
        return env("CACHING", "1").equals("1") ? builder.withCachingEnabled() : builder.withCachingDisabled();
    }

    static Topology topology() {
        var keys = Serdes.String();
        var values = new AvroSerde<SpecificRecord>();
        Topology t = new Topology();
        t.addSource("read-orders", keys.deserializer(), values.deserializer(), PREFIX + "orders.commands");
        t.addProcessor("decide-orders", OrdersProcessor::new, "read-orders");
        t.addStateStore(App.<OrderState>store(OrdersProcessor.STORE), "decide-orders");
        t.addSource("read-stock", keys.deserializer(), values.deserializer(), PREFIX + "stock.commands");
        t.addProcessor("decide-stock", StockProcessor::new, "read-stock");
        t.addStateStore(App.<SkuState>store(StockProcessor.STORE), "decide-stock");
        t.addStateStore(App.<Outcome>store(StockProcessor.OUTCOMES), "decide-stock");
        t.addSink(STOCK_COMMANDS, PREFIX + "stock.commands", keys.serializer(), values.serializer(), "decide-orders");
        t.addSink(ORDER_FACTS, PREFIX + "ledger.orders", keys.serializer(), values.serializer(), "decide-orders");
        t.addSink(ORDER_COMMANDS, PREFIX + "orders.commands", keys.serializer(), values.serializer(), "decide-stock");
        t.addSink(STOCK_FACTS, PREFIX + "ledger.stock", keys.serializer(), values.serializer(), "decide-stock");
        return t;
    }

    public static void main(String[] args) throws Exception {
        endWithParent();
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, PREFIX + "peer");
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("BOOTSTRAP", "127.0.0.1:9092"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, env("GUARANTEE", StreamsConfig.EXACTLY_ONCE_V2));
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, env("THREADS", "2"));
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env("COMMIT", "100"));
        p.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("STATE_DIR"));
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, env("CACHE", "134217728"));
        p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, "5000");
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        p.put(StreamsConfig.consumerPrefix("max.poll.records"), env("POLL", "5000"));
        p.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), "4194304");
        p.put(StreamsConfig.POLL_MS_CONFIG, env("POLL_MS", "100"));
        p.put(StreamsConfig.producerPrefix("linger.ms"), env("LINGER", "50"));
        p.put(StreamsConfig.producerPrefix("batch.size"), env("BATCH", "262144"));
        p.put(StreamsConfig.producerPrefix("compression.type"), env("COMPRESSION", "lz4"));
        p.put(StreamsConfig.producerPrefix("buffer.memory"), "134217728");
        KafkaStreams streams = new KafkaStreams(topology(), p);
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
        streams.setStateListener((now, before) -> {
            System.out.println("STATE " + now);
            if (now == KafkaStreams.State.ERROR) Runtime.getRuntime().halt(1);
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }
}
