"""A snapshot of differences tells all of them."""

from tests.differences import differences

BASE = {"a": {"b": 1, "gone": True}, "env": [{"name": "X", "value": "x"}, {"name": "Y", "value": "y"}], "list": [1, 2]}


def test_equal_documents_differ_in_nothing() -> None:
    assert differences(BASE, BASE) == ""


def test_what_is_gone_new_or_another_is_a_line_each() -> None:
    env = [{"name": "NEW", "value": ""}, {"name": "X", "value": "x"}, {"name": "Y", "value": "z"}]
    other = {"a": {"b": 2, "none": None, "empty": {}}, "env": env, "list": [2, 1]}
    assert differences(BASE, other).splitlines() == [
        "~ a.b = 1 -> 2",
        "+ a.empty = {}",
        "- a.gone",
        "+ a.none = null",
        '+ env[NEW].value = ""',
        '~ env[Y].value = "y" -> "z"',
        "~ list = [1, 2] -> [2, 1]",
    ]


def test_an_entry_without_a_name_of_its_own_is_named_by_its_number() -> None:
    assert differences({"x": [{"name": "a"}, {"name": "a"}]}, {"x": [{"name": "a"}, {}]}).splitlines() == [
        "+ x[1] = {}",
        "- x[1].name",
    ]
