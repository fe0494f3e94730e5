"""Metrics as Prometheus reads them: families, their text, and the answer at /metrics."""
