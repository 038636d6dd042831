"""Places that hold stock, as they are now."""
