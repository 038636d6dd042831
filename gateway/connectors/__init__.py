"""Connectors: one folder per outside source, each a pure mapping from its rows to commands."""
