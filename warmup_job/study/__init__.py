"""The research command: how often a number of bars gives a wrong regime."""
