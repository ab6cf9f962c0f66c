"""Finding bundles and sharing their loaded parts."""
