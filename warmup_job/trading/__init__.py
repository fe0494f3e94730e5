"""The strategy, the handoff from history to live, and the runners that own a node."""
