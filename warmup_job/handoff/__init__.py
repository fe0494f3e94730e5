"""Hand over from history to live bars, for any Nautilus strategy."""
