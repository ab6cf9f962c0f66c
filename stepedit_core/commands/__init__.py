"""Subcommands with many options of their own: data, train, evaluate. Nothing heavy is imported."""
