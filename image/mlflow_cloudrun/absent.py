"""Lets MLflow start without pandas and numpy, which are not in the image: no request of a tracking server needs them.

MLflow imports both at the top of modules, where it names their classes in annotations and lists data types; whatever
computes with them imports them once more, in a function. They would be a fifth of the image, a fifth of the memory of
each instance, and a tenth of each start (docs/bench/image.md). Every Python of the image imports this module when it
starts: https://docs.python.org/3/library/site.html
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final, NoReturn

PACKAGES: Final = ("numpy", "pandas")


class _Class(type):
    """A class that annotations and `isinstance` can name, and that has no instances."""

    def __call__(cls, *_: object, **__: object) -> NoReturn:
        """Refuses to make an instance.

        Raises:
            ModuleNotFoundError: Always: the package is not here.
        """
        package = cls.__module__.partition(".")[0]
        raise ModuleNotFoundError(f"{package} is not in this image, which only serves MLflow", name=package)


class _DataType:
    """Stands for `numpy.dtype`, of which MLflow lists some: mlflow/types/schema.py."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Package(ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        found = (
            _DataType
            if (self.__name__, name) == ("numpy", "dtype")
            else _Class(name, (), {"__module__": self.__name__})
        )
        setattr(self, name, found)
        return found


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, *_: Sequence[str] | ModuleType | None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in PACKAGES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Package(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leaves it as it is."""


sys.meta_path.append(_Finder())  # the last one: where they are installed, nothing changes
