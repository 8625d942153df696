"""The only place that starts or joins Ray."""

import logging
import os

import ray

from cluster.settings import RaySettings

NAMESPACE = "muster"
LOCAL_CPUS_MIN = 4.0
"""Logical CPUs of a local cluster: its actors wait more than they compute."""


def join_ray(settings: RaySettings) -> None:
    """Join the cluster at `settings.address`, or start one in this machine's processes."""
    if settings.address:
        ray.init(
            address=settings.address, namespace=NAMESPACE, log_to_driver=settings.log_to_driver
        )
        return
    ray.init(
        namespace=NAMESPACE,
        num_cpus=int(settings.cpus or max(os.cpu_count() or 1, LOCAL_CPUS_MIN)),
        include_dashboard=False,
        log_to_driver=settings.log_to_driver,
        logging_level=logging.WARNING,
        configure_logging=True,
    )


def leave_ray() -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()
