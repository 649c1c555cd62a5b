"""Makes MLflow refuse what is JSON but no export of traces, where it fails with an exception of its own."""

import json
from typing import Any


def check(otel_api: Any) -> None:  # noqa: ANN401  MLflow's module
    """Puts a check before MLflow's step that takes the shape of the message for granted."""
    ids_to_base64 = otel_api._convert_otlp_json_ids_to_base64  # noqa: SLF001

    def checked_ids_to_base64(body: bytes) -> bytes:
        """Stands in for that step.

        Raises:
            ValueError: The body is of another shape; MLflow answers 400.
        """
        try:
            return ids_to_base64(body)
        except (AttributeError, TypeError, RecursionError) as error:
            raise json.JSONDecodeError("not an export of traces", "", 0) from error

    otel_api._convert_otlp_json_ids_to_base64 = checked_ids_to_base64  # noqa: SLF001
