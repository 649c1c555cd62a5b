"""Makes the provider bindings load only the resources that are used; fails open.

`cdktf_cdktf_provider_google` imports all of its 1,470 resource modules in `__init__`, and the JavaScript behind it does
the same in the node process of jsii. No resource needs the others, so both are made lazy: Python with a finder that
leaves `__init__` unrun (https://peps.python.org/pep-0562/ for what it would have defined), node with a file that it
preloads (https://nodejs.org/api/cli.html#-r---require-module). docs/adr/0001-lazy-bindings.md has the figures.

When a later version of the bindings has another shape, synthesis is slow, not broken: a JavaScript index that does not
match is loaded as it is, and a Python name that is no submodule makes the package run its own `__init__` after all.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from types import ModuleType

PACKAGE = "cdktf_cdktf_provider_google"
SWITCH = "MLFLOW_GCP_LAZY_BINDINGS"
"""Environment variable; `0` loads the bindings as they are published."""

_PRELOAD = Path(__file__).with_name("bindings.js")


class _LazyPackageLoader(importlib.abc.Loader):
    """Leaves the package's `__init__` unrun until a name is asked for that is not a submodule."""

    def __init__(self, eager: importlib.abc.Loader) -> None:
        self._eager = eager

    def exec_module(self, module: ModuleType) -> None:
        def load_on_demand(name: str) -> object:
            if name.startswith("__") and name != "__all__":
                raise AttributeError(name)
            submodule = f"{module.__name__}.{name}"
            try:
                return importlib.import_module(submodule)
            except ModuleNotFoundError as error:
                if error.name != submodule:
                    raise
            if module.__dict__.pop("__getattr__", None):
                self._eager.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = load_on_demand


class _LazyPackageFinder(importlib.abc.MetaPathFinder):
    """Finds PACKAGE where Python would, and gives it the lazy loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != PACKAGE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None or spec.submodule_search_locations is None:
            return None
        spec.loader = _LazyPackageLoader(spec.loader)
        return spec


def install(environ: MutableMapping[str, str]) -> bool:
    """Makes the bindings lazy in this process and in the node process that it will start.

    Call it before the first import of `cdktf`: node starts there.

    Args:
        environ: The process environment; SWITCH is read from it, NODE_OPTIONS is extended in it.

    Returns:
        Whether the bindings are lazy now (False when SWITCH says `0`).
    """
    # jsii warns, in red, of each node release that its makers no longer support; the project runs on 20 and later.
    environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
    if environ.get(SWITCH) == "0":
        return False
    if not any(isinstance(finder, _LazyPackageFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LazyPackageFinder())
    # https://nodejs.org/api/cli.html#node_optionsoptions: an option with a space is quoted, a backslash escapes.
    escaped = str(_PRELOAD).replace("\\", "\\\\").replace('"', '\\"')
    preload = f'--require "{escaped}"'
    options = environ.get("NODE_OPTIONS", "")
    if preload not in options:
        environ["NODE_OPTIONS"] = f"{options} {preload}".strip()
    return True


def cold_package_cache(environ: MutableMapping[str, str], home: Path) -> Path | None:
    """Says where jsii will unpack the bindings, when it has not done so yet.

    The first run on a machine unpacks some 350 MB, which takes seconds in which nothing else is printed.

    Args:
        environ: The process environment.
        home: The user's home directory.

    Returns:
        The folder that will be filled, or None when the package is there already or the place is not known.
    """
    default = home / ("Library/Caches/com.amazonaws.jsii" if sys.platform == "darwin" else ".cache/aws/jsii")
    root = Path(environ.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT") or default / "package-cache")
    packages = root / "@cdktf" / "provider-google"
    return None if packages.is_dir() and any(packages.iterdir()) else packages
