"""The trading container's program: verify, load, warm up, trade."""
