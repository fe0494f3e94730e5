"""Bars of the live node: streams, cursor, websocket, followers and the gate before the strategy."""
