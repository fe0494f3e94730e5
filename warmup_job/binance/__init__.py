"""The client of Binance's REST API. Only this package imports ccxt."""
