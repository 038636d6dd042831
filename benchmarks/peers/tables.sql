-- The tables of the peers: what the ledger's tables say of the same flow (orders, their lines, stock, history).
-- They are written by adding: a batch is folded in memory, and each key is written once.
CREATE TABLE peer_orders (
  order_id text COLLATE "C" PRIMARY KEY, version bigint, channel text, customer_id text, currency text,
  placed_at timestamptz, country text, open bigint NOT NULL, allocated bigint NOT NULL, refused bigint NOT NULL,
  ordered bigint NOT NULL, value_minor bigint NOT NULL, updated_at timestamptz,
  status text GENERATED ALWAYS AS (
    CASE WHEN ordered > 0 AND allocated = ordered THEN 'allocated' WHEN allocated > 0 THEN 'partially_allocated'
      WHEN refused > 0 AND open = 0 THEN 'refused' ELSE 'placed' END) STORED
) WITH (fillfactor = 80);
CREATE INDEX peer_orders_placed_at ON peer_orders (placed_at);
CREATE INDEX peer_orders_customer_id ON peer_orders (customer_id);

CREATE TABLE peer_lines (
  order_id text COLLATE "C" NOT NULL, line_id text COLLATE "C" NOT NULL, sku text, unit_price_minor bigint,
  location_id text, open bigint NOT NULL, allocated bigint NOT NULL, refused bigint NOT NULL, ordered bigint NOT NULL,
  PRIMARY KEY (order_id, line_id)
) WITH (fillfactor = 80);

CREATE TABLE peer_stock (
  sku text COLLATE "C" NOT NULL, location_id text COLLATE "C" NOT NULL, on_hand bigint NOT NULL,
  reserved bigint NOT NULL, available bigint GENERATED ALWAYS AS (on_hand - reserved) STORED,
  PRIMARY KEY (sku, location_id)
) WITH (fillfactor = 70);

CREATE TABLE peer_history (
  order_id text COLLATE "C", version bigint NOT NULL, fact text NOT NULL, occurred_at timestamptz,
  recorded_at timestamptz, command_id text, channel text, event_id text, correlation_id text, data jsonb
);
CREATE INDEX peer_history_order_id ON peer_history (order_id, version);

-- What the sink has read, in the same transaction as the rows. Faust keeps its offsets in Kafka.
CREATE TABLE sink_offsets (topic text, part int, next_offset bigint NOT NULL, PRIMARY KEY (topic, part));

-- One row that grows with each batch: the benchmark looks at it ten times a second, so it must not count rows.
CREATE TABLE sink_progress (facts bigint NOT NULL, allocated_orders bigint NOT NULL);
INSERT INTO sink_progress VALUES (0, 0);
