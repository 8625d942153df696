"""An S3 service of a test's own, over HTTP."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem


@contextmanager
def s3_endpoint(bucket: str) -> Iterator[str]:
    """Yield the options of a URI in an S3 service that has one empty bucket.

    The credentials are in the environment, where the S3 library looks for them.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        host, port = server.get_host_and_port()
        endpoint = f"{host}:{port}"
        httpx.post(f"http://{endpoint}/moto-api/reset")  # its buckets are the process's
        S3FileSystem(
            scheme="http",
            endpoint_override=endpoint,
            region="us-east-1",
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
        ).create_dir(bucket)
        try:
            yield f"scheme=http&endpoint_override={endpoint}&region=us-east-1"
        finally:
            server.stop()
