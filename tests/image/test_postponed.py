"""What is postponed is imported when it is asked for, is what it would have been, and is there once."""

import importlib
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import postponed

FILES = {
    "shop/__init__.py": """
from shop import cellar
from shop.counter import sell as trade
from shop.window import look
from .attic import box
from shopkeeper import purse as wallet
import shop.log
shop.log.LINES.append("shop")
__version__ = "1.0"
own = ["made here"]
def till(): return "made here too"
def __getattr__(name):
    if name == "rare":
        return "made at last"
    raise AttributeError(f"module 'shop' has no attribute {name!r}")
""",
    "shop/till.py": "import shop.log\nshop.log.LINES.append('till')",
    "shop/yard.py": "import shop.log\nshop.log.LINES.append('yard')",
    "shopkeeper/__init__.py": "",
    "shopkeeper/purse.py": "coin = 1",
    "shop/log.py": "LINES = []",
    "shop/cellar.py": "import shop.log\nshop.log.LINES.append('cellar')\nwine = 'red'",
    "shop/counter.py": "import shop.log\nshop.log.LINES.append('counter')\ndef sell(price): return price + 1",
    "shop/window.py": "import shop.log\nshop.log.LINES.append('window')\ndef look(): return 'shoes'",
    "shop/attic.py": "import shop.log\nshop.log.LINES.append('attic')\nbox = object()",
}


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """Puts a package in reach; returns which of its modules have run."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(postponed, "GATHERING", frozenset({"shop"}))
    monkeypatch.setattr(postponed, "CALLED", {"shop.counter": frozenset({"sell"})})
    importlib.invalidate_caches()
    postponed.install()
    yield importlib.import_module("shop.log").LINES
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shop", "shopkeeper")]:
        del sys.modules[name]


def shop() -> Any:
    return importlib.import_module("shop")


def test_a_module_of_a_package_is_imported_without_its_sisters(lines: list[str]) -> None:
    assert shop().look() == "shoes"
    assert shop().__version__ == "1.0"
    assert lines == ["window"]
    assert shop().cellar.wine == "red"
    assert shop().box is importlib.import_module("shop.attic").box
    assert shop().wallet.coin == 1
    assert lines == ["window", "cellar", "attic"]


def test_a_module_that_the_package_does_not_name_is_its_module(lines: list[str]) -> None:
    assert shop().yard is importlib.import_module("shop.yard")
    assert lines == ["yard"]
    assert shop().till() == "made here too"


def test_the_package_runs_when_somebody_wants_what_it_makes_itself(lines: list[str]) -> None:
    early = shop().look
    assert shop().own == ["made here"]
    assert lines[-1] == "shop"
    assert lines.count("window") == lines.count("shop") == 1
    assert shop().look is early


def test_what_the_package_makes_when_it_is_asked_is_made(lines: list[str]) -> None:
    assert shop().rare == "made at last"
    assert lines.count("shop") == 1


def test_what_is_not_there_is_not_there(lines: list[str]) -> None:
    with pytest.raises(AttributeError, match="module 'shop' has no attribute 'bread'"):
        shop().bread  # noqa: B018
    with pytest.raises(AttributeError):
        shop().__wrapped__  # noqa: B018
    assert lines.count("shop") == 1


def test_a_function_is_imported_when_it_is_called(lines: list[str]) -> None:
    counter = importlib.import_module("shop.counter")
    sell = counter.sell
    assert lines == []
    assert sell(1) == 2
    assert counter.sell(2) == 3
    assert lines == ["counter"]


def test_threads_that_ask_at_once_get_the_same_thing_once(lines: list[str]) -> None:
    found: list[Any] = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        found.append(shop().own)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["made here"]] * 8
    assert lines.count("shop") == 1


@pytest.mark.usefixtures("lines")
def test_what_comes_after_an_import_comes_before_whoever_imports_goes_on() -> None:
    seen: list[str] = []
    postponed.after("shop.window", lambda module: seen.append(module.look()))
    assert seen == []
    importlib.import_module("shop.window")
    assert seen == ["shoes"]
    postponed.after("shop.window", lambda module: seen.append(module.__name__))
    assert seen == ["shoes", "shop.window"]
