"""The only place that starts or joins Ray."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import ray

from cluster.settings import RaySettings

NAMESPACE = "muster"
LOCAL_CPUS_MIN = 4.0
"""Logical CPUs of a local cluster: its actors wait more than they compute."""

ACTOR_CPUS = 0.001
"""What an actor asks for that mostly waits: next to nothing, but not nothing, so that nodes that
offer no CPUs (the head of a large cluster, those with GPUs) never get one."""

SERVE_ENVIRONMENT = {"RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2"}
"""What Serve's own processes read: three looks at a proxy that is gone, each this long after the
last, pass before another is started, and with Serve's 10 s nobody is served for half a minute.
Clusters that are only joined have it from whoever starts them."""


@contextmanager
def joined_ray(settings: RaySettings) -> Iterator[None]:
    """Join the cluster at `settings.address`, or start one in this machine's processes, and leave.

    A thread does so, in which no signal cuts the start short: half a Ray leaves processes behind
    that look for the other half for a minute. It stays meanwhile, since the processes of a local
    Ray end with the thread that started them. Ray takes SIGTERM for itself at the end of its start;
    whoever has another use for it takes it back.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ray") as thread:
        try:
            thread.submit(_join, settings).result()
            yield
        finally:
            thread.submit(ray.shutdown).result()


def _join(settings: RaySettings) -> None:
    if settings.address:
        ray.init(
            address=settings.address, namespace=NAMESPACE, log_to_driver=settings.log_to_driver
        )
        return
    for name, value in SERVE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray.init(
        address="local",  # else Ray joins any cluster that happens to be about
        namespace=NAMESPACE,
        num_cpus=int(settings.cpus or max(os.cpu_count() or 1, LOCAL_CPUS_MIN)),
        include_dashboard=False,
        _metrics_export_port=settings.metrics_port,
        log_to_driver=settings.log_to_driver,
        logging_level=logging.ERROR,  # its warnings tell of what is meant: tokens, no signals
        configure_logging=True,
    )
