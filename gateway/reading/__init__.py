"""Documents made of several projections, the same for the command line and over HTTP."""
