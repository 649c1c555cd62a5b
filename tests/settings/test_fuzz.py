"""No file and no variable gives a traceback: the outcome is settings, or problems that say all and betray nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stacks.settings.load import OVERRIDE_PREFIX
from stacks.settings.model import Settings, field_names
from stacks.settings.problems import Problem, SettingsError
from tests.settings.files import GOOD, Table, assert_helpful, changed, read, toml

_CHECKOUT = Path(__file__).parents[2]
_BETRAYED = "hunter2"
_PLANTED = [f"GOCSPX-{_BETRAYED}", f"postgresql://mlflow:{_BETRAYED}@db/mlflow"]

# The same examples in every run; the folder is shared by them, and each rewrites its file.
_fuzz = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_plausible = st.sampled_from(["", "1Gi", "*", "EU", "mlflow", "a@example.com", "allUsers", "${x}", "%{x}", *_PLANTED])
_scalars = st.one_of(_texts, _plausible, st.booleans(), st.floats(), st.integers(), st.integers(2**64, 2**80))
_keys = st.one_of(_texts, st.sampled_from([name.split(".")[-1] for name in field_names()]))
_trees = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=4)),
    max_leaves=8,
)
_secret_tables = st.dictionaries(
    st.sampled_from(["client_secret", "db_password", "api_key"]), st.just(_BETRAYED), min_size=1
)


def _outcome(folder: Path, content: str | bytes | Table, **environ: str) -> None:
    """Loads a file; any exception but SettingsError fails the test."""
    problems: tuple[Problem, ...] = ()
    text = ""
    try:
        assert isinstance(read(folder, content, **environ), Settings)
    except SettingsError as error:
        problems, text = error.problems, str(error)
    assert bool(problems) == (bool(text) and " is not " not in text.splitlines()[0])
    for problem in problems:
        assert_helpful(problem)
    assert _BETRAYED not in text
    assert text.replace("\n", "").isprintable()


@_fuzz
@given(content=st.binary(max_size=200))
@example(content=b"")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    _outcome(tmp_path, content)


@_fuzz
@given(place=st.integers(0, len(toml(GOOD))), removed=st.integers(0, 20), added=st.binary(max_size=5))
def test_a_good_file_with_a_wound(tmp_path: Path, place: int, removed: int, added: bytes) -> None:
    good = toml(GOOD).encode()
    _outcome(tmp_path, good[:place] + added + good[place + removed :])


@_fuzz
@given(changes=st.dictionaries(st.sampled_from([name for name in field_names() if "." in name]), _trees, min_size=1))
def test_any_values_in_known_fields(tmp_path: Path, changes: Table) -> None:
    _outcome(tmp_path, changed(changes))


@_fuzz
@given(tree=st.dictionaries(_keys, _trees, max_size=6), base=st.sampled_from([GOOD, {}]))
@example(tree={"[key]": 1}, base=GOOD)
@example(tree={"": {"": {}}}, base=GOOD)
def test_any_tables(tmp_path: Path, tree: Table, base: Table) -> None:
    _outcome(tmp_path, base | tree)


@_fuzz
@given(key=_keys.filter(bool), planted=st.one_of(_secret_tables, st.sampled_from(_PLANTED), st.lists(_secret_tables)))
def test_a_secret_in_any_place(tmp_path: Path, key: str, planted: object) -> None:
    _outcome(tmp_path, GOOD | {key: planted})
    _outcome(tmp_path, changed({f"access.{key}": planted}))


@_fuzz
@given(
    path=st.lists(st.one_of(_keys, st.sampled_from([*Settings.model_fields])), max_size=4),
    value=st.one_of(_texts, _plausible, _trees.map(lambda tree: toml({"x": tree}).removeprefix('"x" = '))),
)
def test_any_override(tmp_path: Path, path: list[str], value: str) -> None:
    _outcome(tmp_path, GOOD, **{OVERRIDE_PREFIX + "__".join(path).upper(): value})


@pytest.mark.parametrize("value", ["\udcff", '"\udcff"'])
@pytest.mark.parametrize("name", ["REGION", "SERVICE__ENV__A", "SERVICE__ENV__\udcff", "\udcff", "LABELS"])
def test_a_variable_that_is_not_utf8(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, GOOD, **{OVERRIDE_PREFIX + name: value})
    (problem,) = caught.value.problems
    assert problem.rule == "name and value of a variable are UTF-8"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[" * 10_000,
        b"region = ",
        toml(GOOD | {"[key]": 1, "a\nb": {"": []}}).encode(),
        toml(changed({"access.client_secret": _BETRAYED, "access.oauth_client_id": _BETRAYED})).encode(),
        f"{toml(GOOD)}[{'.'.join(['x'] * 20_000)}]".encode(),
    ],
    ids=range(6),
)
def test_the_program_ends_with_a_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/bad.toml").write_bytes(content)
    script = "import main, pathlib, sys; main.CHECKOUT = pathlib.Path(sys.argv[1]); sys.exit(main.main())"
    environ = os.environ | {"MLFLOW_GCP_ENV": "bad", "MLFLOW_GCP__SERVICE__CPU": "many"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=_CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 65
    assert done.stdout == ""
    assert re.search("must: | is not (UTF-8|TOML) ", done.stderr)
    assert "Traceback" not in done.stderr
    assert _BETRAYED not in done.stderr
