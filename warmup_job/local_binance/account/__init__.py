"""The simulated account, its listen keys and its signatures."""
