"""The `study` command: how often a number of warm-up bars gives a wrong regime."""
