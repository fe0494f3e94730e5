"""Generated or recorded prices, and their klines."""
