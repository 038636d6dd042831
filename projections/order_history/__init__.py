"""Every fact of every order, by version. `story` reads it, and people look things up in it."""
