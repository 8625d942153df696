"""The OpenAPI document of the HTTP API; `python -m serve_apps.gateway.openapi` writes it out."""

import json
import sys

from serve_apps.gateway.api import unwired_api


def openapi_text() -> str:
    """Return the document as stable, indented JSON."""
    return json.dumps(unwired_api().openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
