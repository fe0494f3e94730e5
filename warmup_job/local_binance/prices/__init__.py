"""Prices, generated or recorded, and the klines made of them."""
