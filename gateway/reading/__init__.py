"""Documents from several projections, the same for command line and HTTP."""
