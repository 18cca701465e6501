"""Engines: a store of weights a package, each with all that is known of it.  See `folding` and `stores`."""
