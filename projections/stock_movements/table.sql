-- Every change of a quantity of stock, one row for each location that it concerns. Only ever added to.
-- The sum of a column over all rows of a SKU and location is what `inventory` says.

CREATE TABLE IF NOT EXISTS stock_movements (
    sku          text COLLATE "C" NOT NULL,
    location_id  text COLLATE "C" NOT NULL,
    version      bigint NOT NULL,     -- number of the fact in the SKU's stream
    kind         text NOT NULL,       -- the fact, for example StockReceived
    on_hand      bigint NOT NULL,     -- units more (or less) that are there
    reserved     bigint NOT NULL,     -- units more (or less) that are held
    damaged      bigint NOT NULL,
    quality_hold bigint NOT NULL,
    reason       text,                -- as it was given
    document     text,                -- as it was given; else the purchase order or the transfer
    order_id     text,                -- for whom; a cart's hold has the cart's
    line_id      text,
    shipment_id  text,
    return_id    text,
    channel      text,                -- that sent the command; order-ledger for the product's own reactions
    actor        text,
    occurred_at  timestamptz NOT NULL, -- business time: of a count, when it was counted; of a hold that lapsed, its end
    recorded_at  timestamptz NOT NULL  -- log time: when it was known
);

-- Not unique: that no fact is written twice is the offset's doing, and a check would cost a third of the speed.
CREATE INDEX IF NOT EXISTS stock_movements_sku ON stock_movements (sku, location_id, occurred_at);
