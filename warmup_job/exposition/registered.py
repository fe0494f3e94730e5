"""Give metrics to prometheus_client: as text, or as what answers /metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from warmup_job.exposition.families import Metric

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler


class _Collected(Collector):
    """What a function makes, each time."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering it collects nothing."""
        return []


def exposition_text(collect: Callable[[], Iterable[Metric]]) -> bytes:
    """Return metrics in Prometheus' text format.

    https://prometheus.io/docs/instrumenting/exposition_formats/

    Args:
        collect: makes them.
    """
    return generate_latest(_Collected(collect))


def exposition_handler(collect: Callable[[], Iterable[Metric]]) -> Handler:
    """Return what answers /metrics, with the process' own metrics; as OpenMetrics if accepted.

    Args:
        collect: makes the metrics for each answer.
    """
    from prometheus_client.aiohttp import make_aiohttp_handler

    registry = CollectorRegistry()
    registry.register(_Collected(collect))
    for collector in (ProcessCollector, GCCollector, PlatformCollector):
        collector(registry=registry)
    answer: Handler = make_aiohttp_handler(registry)
    return answer
