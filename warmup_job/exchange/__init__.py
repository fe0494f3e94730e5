"""The only place that knows ccxt: closed klines and raw exchangeInfo come out, our errors too."""
