-- Places that hold stock, as their newest registration says.

CREATE TABLE IF NOT EXISTS locations (
    location_id           text COLLATE "C" PRIMARY KEY,
    name                  text,
    kind                  text,                 -- warehouse, store, third_party, supplier
    latitude              double precision,     -- degrees, WGS 84
    longitude             double precision,
    country               text,                 -- ISO 3166-1 alpha-2
    daily_capacity        bigint,               -- parcels a day; null is unlimited
    cost_minor_per_parcel bigint                -- in minor units of the seller's currency
);
