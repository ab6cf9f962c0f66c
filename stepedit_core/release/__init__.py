"""Released files to our names: where they lie, how they are read, one table per network."""
