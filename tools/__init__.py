"""Programs that make files of the repository or measure it; docs/README.md says which is which."""
