"""Every change of a quantity of stock, one row each: how much, why, by whom, when it happened and when it was known."""
