"""HedgeGridV1: the strategy, its rules and its orders."""
