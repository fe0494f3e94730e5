"""Make the families of metrics: a name, its help, and a sample for each row."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["Metric", "Rows", "counter", "gauge"]

type Rows = Sequence[tuple[tuple[str, ...], float | Decimal]]
"""For each sample the values of its labels, and its value."""


def gauge(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """Return a gauge.

    Args:
        name: of the metric.
        about: its help.
        labels: the names of the labels.
        rows: the samples.
    """
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value + 0))  # no -0
    return family


def counter(name: str, about: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """Return a counter; the arguments are those of `gauge`."""
    family = CounterMetricFamily(name, about, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value))
    return family
