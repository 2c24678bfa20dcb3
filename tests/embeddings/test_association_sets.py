"""Files of word sets: what is read, and the one line that refuses a damaged one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_exp.embeddings import AssociationTest
from w2v_exp.embeddings.association_sets import LARGEST_FILE, published_sets, published_tests
from w2v_exp.errors import FormatError, SettingError, UserError

SETS = "sets:\n  mine: [no, Yes, null, 1]\n  yours:\n  - on\n  - 'ice cream'\n"


def test_a_file_has_sets_and_tests_of_its_own_and_published_sets(tmp_path):
    file = tmp_path / "sets.yaml"
    file.write_text(
        f"{SETS}tests:\n  one: {{targets: [mine], attributes: [men, yours]}}\n"
        "  two: {targets: [men, women], attributes: [mine]}\n"
    )
    one, two = AssociationTest.read(file)
    assert (one.name, one.kind, two.name, two.kind) == ("one", "SC-WEAT", "two", "RND")
    assert one.targets == {"mine": ("no", "Yes", "null", "1")}  # words, not what YAML makes of them
    assert [*one.attributes] == ["men", "yours"]
    assert one.attributes["yours"] == ("on", "ice cream")
    assert two.attributes == one.targets
    file.write_text("sets: {men: [x, y]}\ntests: {t: {targets: [men, women], attributes: [family]}}")
    assert AssociationTest.read(str(file))[0].targets["men"] == ("x", "y")  # before a published one


TEST = "\ntests:\n t: {targets: [a], attributes: [men, women]}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ": is empty; it must have sets and tests."),
        ("words", ", line 1: The file must be a mapping"),
        ("sets: {a: [x]}", ": has no tests. Add: tests:"),
        ("sets: {a: [x]}\ntests: {}", ", line 2: tests is empty."),
        ("sets: {a: [x]}\ntest: {}", ", line 2: The file has the unknown key test, did you mean tests?"),
        ("sets: [a]" + TEST, ", line 1: sets must be a mapping"),
        ("sets: {a: x y}" + TEST, ", line 1: set a must be a list: [word, word]."),
        ("sets: {a: []}" + TEST, ", line 1: set a is empty."),
        ("sets: {a: [x, [y]]}" + TEST, ", line 1: set a has an entry that is not a word."),
        ("sets: {a: [x, '']}" + TEST, ", line 1: set a has an entry that is not a word."),
        ("sets: {a: [x], a: [y]}" + TEST, ", line 1: sets has a twice."),
        ("sets: {a: [x, y, X]}" + TEST, ", line 3: test t: targets=a: has X twice (case does not count)."),
        ("sets: {a: [x, He]}" + TEST, ", line 3: test t: attributes=men: has he in common with a"),
        ("sets: {b: [x]}" + TEST, ", line 3: there is no set a."),
        ("tests: {t: {targets: [mne], attributes: [men]}}", "there is no set mne, did you mean men?"),
        ("tests: {t: {targets: [men, men], attributes: [women]}}", "targets of test t has a set twice."),
        ("tests: {t: {targets: [men]}}", ", line 1: test t has no attributes."),
        ("tests: {t: {targets: [men], atributes: [women]}}", "unknown key atributes, did you mean attributes?"),
        ("tests: {t: {targets: [men], attributes: [women]}}", "1 sets of targets and 1 of attributes are no test."),
        ("tests: {My test: {targets: [men, women], attributes: [family]}}", "must be lower-case letters"),
        ("sets: {a: [x}", "line 1: is not valid YAML"),
        ("a: 1\n--- \nb: 2", "line 2: is not valid YAML"),
        ("[" * 1_000, "is not valid YAML"),
        ("sets: &a {b: *a}" + TEST, ", line 1: set b must be a list"),
        ("!!python/object/apply:os.abort []", "must be a mapping"),
        (b"sets: {a: [\xff]}", "is not valid YAML"),
        (b"\x00", "is not valid YAML"),
        ("#" * (LARGEST_FILE + 1), ": is larger than 262,144 bytes; it is not a file of word sets."),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(content, problem, tmp_path):
    file = tmp_path / "sets.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FormatError) as refused:
        AssociationTest.read(file)
    assert problem in str(refused.value)
    assert str(refused.value).startswith(f"{file}")
    assert "\n" not in str(refused.value)


def test_control_characters_of_a_file_reach_no_message(tmp_path):
    file = tmp_path / "sets.yaml"
    file.write_text(
        'sets: {"a\\e[31m": [x, X]}\ntests: {t: {targets: ["a\\e[31m"], attributes: [men, women]}}'
    )
    with pytest.raises(FormatError) as refused:
        AssociationTest.read(file)
    assert str(refused.value).isprintable()


@given(st.text() | st.binary())
def test_any_bytes_are_tests_or_a_user_error(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError):
        AssociationTest.read(file)


NAMES = st.sampled_from(["sets", "tests", "targets", "attributes", "men", "t"])
NODES = st.recursive(
    st.sampled_from(["men", "women", "", "x"]),
    lambda node: st.lists(node, max_size=3) | st.dictionaries(NAMES, node, max_size=3),
)


@given(NODES)
def test_any_structure_is_tests_or_a_user_error(tmp_path_factory, content):
    import json

    file = tmp_path_factory.getbasetemp() / "structure.yaml"
    file.write_text(json.dumps({"sets": {"x": ["y"]}, "tests": content}))
    try:
        tests = AssociationTest.read(file)
    except UserError:
        return
    assert all(test.kind in ("WEAT", "SC-WEAT", "RND") for test in tests)


@pytest.mark.parametrize("source", ["weat11", "missing.yaml", "", "a\0b", "x" * 5000, "."])
def test_an_unknown_name_is_answered_with_the_known_ones(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=r"^source="):
        AssociationTest.read(source)


def test_an_unknown_name_lists_all():
    with pytest.raises(SettingError, match=r"Give a path, or one of weat1, .*weat10, garg_occupations"):
        AssociationTest.read("weat11")


# ------------------------------------------------------------ arguments and published sets


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("A", {"a": ["x"]}, {"b": ["y"], "c": ["z"]}), "name='A': must be lower-case letters"),
        (("a" * 101, {"a": ["x"]}, {"b": ["y"], "c": ["z"]}), "is longer than 100 characters"),
        ((1, {"a": ["x"]}, {"b": ["y"], "c": ["z"]}), "name=1"),
        (("t", ["x"], {"b": ["y"], "c": ["z"]}), "targets=.*must be sets of words by name"),
        (("t", {"a\n": ["x"]}, {"b": ["y"], "c": ["z"]}), "is no name of a set"),
        (("t", {"a" * 101: ["x"]}, {"b": ["y"], "c": ["z"]}), "is no name of a set"),
        (("t", {"a": "x"}, {"b": ["y"], "c": ["z"]}), "targets=a: must be a list of at least one word"),
        (("t", {"a": [1]}, {"b": ["y"], "c": ["z"]}), "targets=a: has 1, which is not a word"),
        (("t", {"a": []}, {"b": ["y"], "c": ["z"]}), "targets=a: must be a list of at least one word"),
        (("t", {"a": ["x"] * 2}, {"b": ["y"], "c": ["z"]}), "targets=a: has x twice"),
        (("t", {"a": [f"w{i}" for i in range(1001)]}, {"b": ["y"], "c": ["z"]}), "has 1,001 words"),
        (("t", {"a": ["x"], "b": ["y"], "c": ["z"]}, {"d": ["w"]}), "3 sets of targets and 1 of attributes"),
    ],
)  # fmt: skip
def test_sets_that_are_no_test_are_refused(arguments, problem):
    with pytest.raises(SettingError, match=problem):
        AssociationTest(*arguments)


def test_published_sets_have_the_sizes_of_the_papers():
    sizes = {name: [len(words) for words in test.sets.values()] for name, test in published_tests().items()}
    assert sizes == {  # Caliskan et al. 2017, table 1: numbers of targets and attributes
        "weat1": [25, 25, 25, 25],
        "weat2": [25, 25, 25, 25],
        "weat3": [32, 32, 25, 25],
        "weat4": [16, 16, 25, 25],
        "weat5": [16, 16, 8, 8],
        "weat6": [8, 8, 8, 8],
        "weat7": [8, 8, 8, 8],
        "weat8": [8, 8, 8, 8],
        "weat9": [6, 6, 7, 7],
        "weat10": [8, 8, 8, 8],
        "garg_occupations": [20, 20, 76],
        "garg_intelligence": [20, 20, 28],
        "garg_appearance": [20, 20, 25],
    }
    used = {name for test in published_tests().values() for name in test.sets}
    assert used == set(published_sets())


def test_published_sets_are_not_changed_by_who_reads_them():
    published_sets()["men"] = ["x"]
    assert published_sets()["men"][0] == "he"
