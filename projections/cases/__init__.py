"""Service cases as they are now: what customers wrote about, and whether it is resolved."""
