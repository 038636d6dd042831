"""Every fact of every order, in the order's own order: what `story` tells and what a person looks up."""
