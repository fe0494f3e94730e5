"""Faults that the local exchange injects on request."""
