"""Makes the speech that nano learns from: texts, teachers, archetypes, shards, reader."""
