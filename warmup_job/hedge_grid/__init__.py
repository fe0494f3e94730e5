"""HedgeGridV1: the strategy and its rules."""
