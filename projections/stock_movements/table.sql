-- Every change of a quantity of stock, one row for each location that it concerns. Only ever added to.
-- The sum of a column over all rows of a SKU and location is what `inventory` says.

CREATE TABLE IF NOT EXISTS stock_movements (
    sku          text COLLATE "C" NOT NULL,
    location_id  text COLLATE "C" NOT NULL,
    version      bigint NOT NULL,
    kind         text NOT NULL,
    on_hand      bigint NOT NULL,
    reserved     bigint NOT NULL,
    damaged      bigint NOT NULL,
    quality_hold bigint NOT NULL,
    reason       text,
    document     text,
    order_id     text,
    line_id      text,
    shipment_id  text,
    return_id    text,
    channel      text,
    actor        text,
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL
);

-- Not unique: the stored offset already prevents writing a fact twice, and a check would cost a third of the speed.
CREATE INDEX IF NOT EXISTS stock_movements_sku ON stock_movements (sku, location_id, occurred_at);
