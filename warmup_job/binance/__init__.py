"""The Binance client. The only package that imports ccxt."""
