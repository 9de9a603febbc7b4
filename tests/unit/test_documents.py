"""Set-ups as text: what is written is read back, and what is no set-up is refused in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from jobqueue import documents
from jobqueue.documents import DEEPEST, JSON, YAML, Sections

#: Text that databases can store, with more of what YAML has a meaning for.
WORDS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.text("&*!|>%@`'\"{}[],:?-#<=~ \n\ttnul01.e_", max_size=12),
    st.sampled_from(
        ["no", "ON", "nULL", "1:30:00", "0o7", "1_0", "2026-01-31", "...", "---", ".inf"]
    ),
)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), WORDS, st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.one_of(PLAIN, st.lists(WORDS), st.dictionaries(WORDS, PLAIN))
SECTIONS = st.dictionaries(
    WORDS.filter(lambda word: word != documents.HEADER),
    st.lists(st.dictionaries(WORDS, VALUES, max_size=5), max_size=3),
    max_size=3,
)
BOTH = pytest.mark.parametrize("form", [YAML, JSON])


def read(text: str | bytes, form: str = YAML) -> Sections:
    return documents.read(text if isinstance(text, bytes) else text.encode(), form)


def refusal(text: str | bytes, form: str = YAML) -> str:
    with pytest.raises(ValueError, match=r"\S") as error:
        read(text, form)
    assert "\n" not in str(error.value)
    return str(error.value)


def yaml_of(body: str) -> str:
    return f"jobqueue_export: 1\n{body}\n...\n"


class TestRoundTrip:
    @BOTH
    @given(SECTIONS)
    @example({"jobs": [{"a": "x\n  y\n", "b": "\n x", "c": " x\ny", "d": "x \ny", "e": "x\n\n"}]})
    @example({"jobs": [{"argv": ["- a", "b: c", "#", "[", ", ", "'"], "env": {"x" * 200: ""}}]})
    def test_what_was_written_is_read(self, form: str, sections: Sections) -> None:
        text = documents.write(sections, form)
        found = read(text, form)
        assert found == sections
        assert documents.write(found, form) == text

    @given(SECTIONS)
    def test_other_readers_of_yaml_read_the_same(self, sections: Sections) -> None:
        content = yaml.safe_load(documents.write(sections, YAML))
        assert content == {documents.HEADER: documents.VERSION, **sections}

    @given(SECTIONS, st.data())
    def test_no_part_of_a_file_is_taken_for_all(self, sections: Sections, data: Any) -> None:
        for form in (YAML, JSON):
            whole = documents.write(sections, form).rstrip("\n").encode()
            cut = data.draw(st.integers(0, len(whole) - 1))
            refusal(whole[:cut], form)

    def test_it_is_good_to_read(self) -> None:
        sections: Sections = {
            "jobs": [
                {"name": "Orders", "argv": ["run", "-n", "5", "*.edi"], "env": {"A": "on"}},
                {"name": "Größe", "argv": ["sh", "-c", "if a; then\n  b\nfi"], "enabled": False},
            ],
            "schedules": [],
        }
        assert documents.write(sections, YAML) == (
            "jobqueue_export: 1\n"
            "jobs:\n"
            "- name: Orders\n"
            "  argv: [run, -n, '5', '*.edi']\n"
            "  env:\n"
            "    A: 'on'\n"
            "- name: Größe\n"
            "  argv:\n"
            "  - sh\n"
            "  - -c\n"
            "  - |-\n"
            "    if a; then\n"
            "      b\n"
            "    fi\n"
            "  enabled: false\n"
            "schedules: []\n"
            "...\n"
        )


class TestYaml:
    @pytest.mark.parametrize(
        ("word", "meaning"),
        [
            *(("5", 5), ("-0", 0), ("0.5", 0.5), ("true", True), ("null", None), ("~", None)),
            *(("no", "no"), ("on", "on"), ("010", "010"), ("1:30:00", "1:30:00"), ("0x1", "0x1")),
            *(("2026-01-31", "2026-01-31"), ("=", "="), ("'5'", "5"), (".inf", ".inf"), ("", None)),
        ],
    )
    def test_words_mean_what_json_could_mean(self, word: str, meaning: object) -> None:
        [entry] = read(yaml_of(f"jobs:\n- a: {word}"))["jobs"]
        assert (entry["a"], type(entry["a"])) == (meaning, type(meaning))

    def test_keys_are_text(self) -> None:
        assert read(yaml_of("jobs: [{1: a, true: b, <<: c}]")) == {
            "jobs": [{"1": "a", "true": "b", "<<": "c"}]
        }

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("a: &x [y]\njobs: *x", "Line 2: aliases (& and *) aren't taken"),
            ("jobs: [{a: *x}]", "Line 2: aliases (& and *) aren't taken"),
            ("jobs: !!python/object/apply:os.system ['exit 1']", "Line 2: tags aren't taken: "),
            ("jobs:\n- !!str a", "Line 3: tags aren't taken: 'tag:yaml.org,2002:str'"),
            ("!x jobs: []", "Line 2: tags aren't taken"),
            ("jobs: []\njobs: []", "Line 3: the key 'jobs' is there twice."),
            ("jobs:\n- {a: 1, 'a': 2}", "Line 3: the key 'a' is there twice."),
            ("jobs:\n- [a]: 1", "Line 3: a key must be text."),
            ("jobs: [}", "no YAML, or cut off: line 2: "),
            ("jobs: []\n...\n---\na: 1", "There is more behind its end"),
            ("jobs: [{a: \x1b}]", "It is no YAML"),
            ("jobs: " + "[" * 50 + "]" * 50, "Line 2: it is nested too deeply."),
            ("jobs: " + '[{"a": ' * 50_000, "Line 2: it is nested too deeply."),
        ],
    )
    def test_refused(self, body: str, reason: str) -> None:
        assert reason in refusal(yaml_of(body))

    def test_a_bomb_is_refused_where_it_begins(self) -> None:
        levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
        text = yaml_of("\n".join(["a0: &a0 [x]", *levels]))
        assert refusal(text).startswith("Line 2: aliases")

    def test_half_a_file_of_whole_lines(self) -> None:
        whole = documents.write({"jobs": [{"name": "a"}, {"name": "b"}]}, YAML)
        half = whole[: whole.index("- name: b")]
        assert yaml.safe_load(half) is not None
        assert "is it half a file?" in refusal(half)


class TestJson:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('{"jobqueue_export": 1, "jobs": [{"a": 1, "a": 2}]}', "'a' is there twice"),
            ('{"jobqueue_export": 1, "jobs": [{"a": NaN}]}', "NaN is no number."),
            ('{"jobqueue_export": 1, "jobs": [{"a": "\\ud800"}]}', "surrogate pair"),
            ('{"jobqueue_export": 1, "jobs": [', "no JSON, or cut off: line 1: "),
            ("[" * 100_000, "nested too deeply"),
            ("[" * 50 + "]" * 50, "nested too deeply"),
            ("jobqueue_export: 1", "no JSON"),
        ],
    )
    def test_refused(self, text: str, reason: str) -> None:
        assert reason in refusal(text, JSON)


class TestBoth:
    @BOTH
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({"jobs": []}, "It is no set-up: that has the key jobqueue_export"),
            ([], "It is no set-up"),
            ("jobqueue_export", "It is no set-up"),
            ({"jobqueue_export": 2}, "written by a newer version (format 2, here 1)"),
            ({"jobqueue_export": 0}, "0 is no version"),
            ({"jobqueue_export": True}, "True is no version"),
            ({"jobqueue_export": "1"}, "'1' is no version"),
            ({"jobqueue_export": 1, "jobs": {"a": {}}}, "jobs: a list is needed"),
            ({"jobqueue_export": 1, "jobs": None}, "jobs: a list is needed"),
            ({"jobqueue_export": 1, "jobs": ["a"]}, "jobs, number 1: no fields but 'a'."),
            ({"jobqueue_export": 1, "jobs": [{"a": "x\0"}]}, "'x\\x00' has a NUL character"),
        ],
    )
    def test_no_set_up(self, form: str, content: object, reason: str) -> None:
        write = json.dumps if form == JSON else lambda it: yaml.safe_dump(it, explicit_end=True)
        assert reason in refusal(write(content), form)

    @BOTH
    def test_marks_and_encodings(self, form: str) -> None:
        text = documents.write({"jobs": [{"name": "Größe"}]}, form)
        assert read(b"\xef\xbb\xbf" + text.encode(), form) == read(text, form)
        assert read(text.replace("\n", "\r\n"), form) == read(text, form)
        for encoding in ("latin-1", "utf-16"):
            assert refusal(text.encode(encoding), form) == "It isn't valid UTF-8."

    @BOTH
    @pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
    def test_empty(self, form: str, text: str) -> None:
        assert refusal(text, form) == "It is empty."

    @BOTH
    def test_just_deep_enough(self, form: str) -> None:
        value: Any = "x"
        for _ in range(DEEPEST - 3):
            value = [value]
        sections = {"jobs": [{"a": value}]}
        assert read(documents.write(sections, form), form) == sections
        refusal(documents.write({"jobs": [{"a": [[[value]]]}]}, form), form)

    def test_the_name_says_what_it_is(self) -> None:
        names = ["a.yaml", "b.YML", "/x/c.json"]
        assert [documents.form_of(name) for name in names] == [YAML, YAML, JSON]
        for name in ("a", "a.txt", ".yaml", "yaml"):
            with pytest.raises(ValueError, match="must end in"):
                documents.form_of(name)

    def test_without_a_name_its_beginning_says_it(self) -> None:
        for text, form in {'\ufeff\n {"a": 1}': JSON, "a: 1": YAML, "": YAML}.items():
            assert documents.form_of_text(text.encode()) == form


@BOTH
def test_a_number_that_nobody_means_is_refused_with_its_line(form: str) -> None:
    digits = "7" * 5000
    text = {
        YAML: yaml_of(f"a:\n- b: {digits}"),
        JSON: f'{{"jobqueue_export": 1,\n"a": [\n{digits}]}}',
    }
    assert refusal(text[form], form) == "Line 3: a number has more than 1000 digits."
    quoted = {
        YAML: yaml_of(f"a:\n- b: '{digits}'"),
        JSON: f'{{"jobqueue_export": 1, "a": [{{"b": "{digits}"}}]}}',
    }
    assert read(quoted[form], form) == {"a": [{"b": digits}]}
