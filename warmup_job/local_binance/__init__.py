"""A local Binance to run against: ``warmup-job exchange``."""
