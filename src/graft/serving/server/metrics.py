"""The counters of a server, in the format that Prometheus reads."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

BATCHES = (1, 2, 4, 8, 16)
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The counters of one server.

    Args:
        queue: gives the number of images that wait or are worked on.
        dropped: gives the number of rows that the log could not keep.
    """

    def __init__(self, queue: Callable[[], float], dropped: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("graft_requests", "Requests", ["path", "status"], registry=self.registry)
        self.seconds = Histogram(
            "graft_request_seconds", "Until the answer", ["path"], registry=self.registry, buckets=SECONDS
        )
        self.batches = Histogram(
            "graft_batch_images", "Images scored at once", registry=self.registry, buckets=BATCHES
        )
        self.predicted = Counter(
            "graft_predictions", "Images by predicted class", ["label"], registry=self.registry
        )
        self.rejected = Counter(
            "graft_rejected", "Requests and images refused", ["reason"], registry=self.registry
        )
        gauges = (
            Gauge("graft_queue_images", "Images that wait or are worked on", registry=self.registry),
            Gauge("graft_log_dropped_rows", "Rows that the log could not keep", registry=self.registry),
        )
        for gauge, value in zip(gauges, (queue, dropped), strict=True):
            gauge.set_function(value)

    def render(self) -> bytes:
        """Write all in Prometheus's text format."""
        return generate_latest(self.registry)
