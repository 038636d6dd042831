"""The six figures that the product is bought for: base rows per order, parcel, count and case, summed when read."""
