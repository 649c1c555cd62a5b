"""Postpones imports of MLflow that no start needs until somebody asks for what is in them.

Packages that only gather names from their modules hand out each name from its module, so that the others are not
imported; their own `__init__` runs when a name is asked that it does not take from elsewhere. Of single functions a
stand-in is handed out, which imports the module when it is called. Nothing else changes: every object is MLflow's own.
https://docs.python.org/3/reference/import.html#finders-and-loaders
"""

import ast
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, cast

GATHERING = frozenset(
    {
        "fastapi",
        "mlflow.gateway",
        "mlflow.gateway.schemas",
        "mlflow.genai",
        "mlflow.genai.discovery",
        "mlflow.genai.judges",
        "mlflow.genai.label_schemas",
        "mlflow.genai.labeling",
        "mlflow.genai.scorers",
        "mlflow.genai.scorers.online",
        "mlflow.models",
        "mlflow.models.evaluation",
    }
)
"""Packages whose `__init__` has imports and definitions, and changes nothing elsewhere."""
CALLED = {"mlflow.gateway.budget": frozenset({"maybe_refresh_budget_policies"})}
"""By its module, what others import at their top and call in some requests alone."""
PATIENCE_S = 10
"""Two threads that import each other's modules wait for each other no longer; Python breaks such rings at once."""


class _Waiting(ModuleType):
    """A module of which nothing has run yet."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        later = cast("_Later", self.__spec__.loader)  # pyright: ignore[reportOptionalMemberAccess]
        if name in later.constants:
            return later.constants[name]
        if name.startswith("__"):
            raise AttributeError(name)
        if not later.begun and name in later.called:
            return later.stand_in(self, name)
        module, original = later.places.get(name) or self.place(name)
        if later.begun or not module:
            later.run(self)
        elif (module, original) == (self.__name__, name):
            import_module(f"{module}.{name}")
        else:
            setattr(self, name, taken(module, original))
        return super().__getattribute__(name)  # which asks a `__getattr__` of the code's own, too

    def place(self, name: str) -> tuple[str, str]:
        """Returns where a name is that the code does not import: here, if it is a module; else that is not known."""
        module = PathFinder.find_spec(f"{self.__name__}.{name}", self.__dict__.get("__path__", ()))
        return (self.__name__, name) if module else ("", "")


class _Later(Loader):
    """Makes a module whose code runs when it is needed.

    Args:
        loader: The loader of its file.
        name: Its name.
        called: Functions of it for which there are stand-ins.
    """

    def __init__(self, loader: SourceFileLoader, name: str, called: frozenset[str]) -> None:
        self.loader = loader
        self.called = called
        code = ast.parse("" if called else loader.get_source(name) or "")
        self.places = dict(places_of(code, name))
        self.constants = dict(constants_of(code))
        self.lock = threading.RLock()
        self.begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Waiting(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leaves it for later."""

    def run(self, module: ModuleType) -> None:
        """Runs the code, once."""
        if self.lock.acquire(timeout=PATIENCE_S):
            try:
                if not self.begun:
                    self.begun = True
                    self.loader.exec_module(module)
            finally:
                self.lock.release()

    def stand_in(self, module: ModuleType, name: str) -> Callable[..., Any]:
        """Returns what calls a function of the module."""

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            self.run(module)
            return module.__dict__[name](*arguments, **options)

        return call


class _After(Loader):
    """Calls a function with a module when its code has run."""

    def __init__(self, loader: Loader, function: Callable[[ModuleType], object]) -> None:
        self.loader = loader
        self.function = function

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.function(module)


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.after: dict[str, Callable[[ModuleType], object]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in GATHERING and fullname not in CALLED and fullname not in self.after:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec and fullname in self.after and spec.loader:
            spec.loader = _After(spec.loader, self.after[fullname])
        elif spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Later(spec.loader, fullname, CALLED.get(fullname, frozenset()))
        return spec


def taken(module: str, name: str) -> Any:  # noqa: ANN401
    """Returns what `from module import name` gives: what the module has of that name, or else its module."""
    found = import_module(module)
    return getattr(found, name) if hasattr(found, name) else import_module(f"{module}.{name}")


def places_of(code: ast.Module, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yields the names of a package, each with the module that it is taken from and its name there, or with neither."""
    for statement in code.body:
        if isinstance(statement, ast.ImportFrom):
            module = statement.module or ""
            if statement.level:
                module = ".".join(part for part in (package, module) if part)
            for alias in statement.names:
                yield alias.asname or alias.name, (module, alias.name)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef) and not statement.name.startswith("__"):
            yield statement.name, ("", "")


def constants_of(code: ast.Module) -> Iterator[tuple[str, object]]:
    """Yields the names of a package that are a number or a text, such as its version, with their values."""
    for statement in code.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value.value


_finder = _Finder()


def install() -> None:
    """Does so for what is imported from here on."""
    sys.meta_path.insert(0, _finder)


def after(name: str, function: Callable[[Any], object]) -> None:
    """Calls a function with a module: as soon as somebody imports it, or now if somebody has."""
    if name in sys.modules:
        function(sys.modules[name])
    else:
        _finder.after[name] = function
