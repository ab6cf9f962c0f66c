"""Numbers: time, memory and agreement of a model; the report's protocol, judges and intervals."""
