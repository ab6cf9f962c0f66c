"""Numbers about results: the report's protocol, judges, intervals, tables and charts."""
