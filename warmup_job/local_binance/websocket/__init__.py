"""Websocket streams and the websocket API of the local exchange."""
