"""Makes a page of an answer shorter when it is too heavy: the rest comes with the next page, which clients ask for.

What a page weighs is known when it has been read (reads.py): a run may have one metric or ten thousand.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from mlflow_cloudrun import errors, reads

SHORTER = 4  # each try costs what was read until it was too much


def paged_methods(store: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yields what reads one page of a list; where it calls another such method, that one alone."""
    methods = dict(inspect.getmembers(store, inspect.isfunction))
    for name, method in methods.items():
        if {"max_results", "page_token"} <= set(inspect.signature(method).parameters) and f"_{name}" not in methods:
            yield name, method


def shortened(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps such a method: reads a shorter page if there is no memory for the one that was asked for."""
    signature = inspect.signature(method)

    @wraps(method)
    def read(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        call = signature.bind(*arguments, **options)
        call.apply_defaults()
        reading = reads.current.get()
        before = reading.weight if reading else 0
        while True:
            try:
                return method(*call.args, **call.kwargs)
            except reads.TooMuchError:
                length = call.arguments["max_results"]
                if reading is None or not isinstance(length, int) or length <= 1:
                    raise
            # Out of the except block: the exception's frames held the rows.
            call.arguments["max_results"] = -(-length // SHORTER)
            reading.shrink(before)
            errors.forget()

    return read


def install() -> None:
    """Wraps the methods of both stores."""
    for store in (TrackingStore, RegistryStore):
        for name, method in list(paged_methods(store)):
            setattr(store, name, shortened(method))
