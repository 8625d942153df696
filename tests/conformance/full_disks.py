"""Disks that are really full."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KINDS = ("file size limit", "full file system")


@contextmanager
def full_disk(kind: str, folder: Path) -> Iterator[None]:
    """Let no more than some 64 KiB into files in a folder meanwhile.

    The full file system is a small one of memory mounted there, for which one must be root.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "file size limit":
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is for root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
