"""Command lines and argv."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobqueue import commandline
from jobqueue.commandline import ARGUMENT_LIMIT, ARGV_LIMIT

# What a process can be given: no NUL, no lone surrogates.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
argvs = st.lists(words, min_size=1).filter(lambda argv: bool(argv[0].strip()))


class TestSplit:
    @pytest.mark.parametrize(
        ("line", "argv"),
        [
            ("", []),
            ("  ", []),
            ("report.py --day today", ["report.py", "--day", "today"]),
            ("""echo 'a b' "c d" e\\ f""", ["echo", "a b", "c d", "e f"]),
            ("echo ''", ["echo", ""]),
            ("echo $HOME ~ * `id` $(id) | cat > x; rm #", None),
        ],
    )
    def test_as_a_shell_quotes_but_expands_nothing(self, line: str, argv: list[str] | None) -> None:
        assert commandline.split(line) == (line.split() if argv is None else argv)

    @pytest.mark.parametrize("line", ["echo 'a", 'echo "a', "echo a\\"])
    def test_an_open_quote(self, line: str) -> None:
        with pytest.raises(ValueError, match=r"^The command line can't be read: .*\.$"):
            commandline.split(line)


class TestJoin:
    @given(st.lists(words))
    def test_it_reads_back_the_same(self, argv: list[str]) -> None:
        assert commandline.split(commandline.join(argv)) == argv

    def test_a_shell_reads_it_back_the_same(self) -> None:
        argv = [
            "printf",
            "%s|",
            "",
            " ",
            "a b",
            "$HOME",
            "*",
            "'",
            '"',
            "\\",
            "\n",
            "!x",
            "é€😀",
            "#",
        ]
        shown = subprocess.run(
            ["sh", "-c", commandline.join(argv)], capture_output=True, check=True
        ).stdout
        assert shown.decode() == "".join(f"{word}|" for word in argv[2:])


class TestValidate:
    @given(argvs)
    def test_what_a_process_can_be_given(self, argv: list[str]) -> None:
        assert commandline.validate(argv) == argv

    @given(
        st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.dictionaries(words, words))
    )
    def test_what_is_no_list(self, value: object) -> None:
        with pytest.raises(ValueError, match="A command is a list of strings"):
            commandline.validate(value)

    @given(st.lists(st.text()))
    def test_it_is_accepted_or_refused_in_one_line(self, argv: list[str]) -> None:
        refusal = ""
        try:
            assert commandline.validate(argv) == argv
        except ValueError as error:
            refusal = str(error)
        assert refusal.isprintable()

    def test_a_tuple_becomes_a_list_of_its_own(self) -> None:
        assert commandline.validate(("a", "b")) == ["a", "b"]
        argv = ["a"]
        assert commandline.validate(argv) is not argv

    def test_no_command(self) -> None:
        with pytest.raises(ValueError, match="No command"):
            commandline.validate([])

    @pytest.mark.parametrize("program", ["", " ", "\t\n"])
    def test_an_empty_program(self, program: str) -> None:
        with pytest.raises(ValueError, match="program is empty"):
            commandline.validate([program, "x"])

    def test_an_empty_argument_is_fine(self) -> None:
        assert commandline.validate(["echo", ""]) == ["echo", ""]

    @pytest.mark.parametrize("word", [None, 1, b"x", ["x"], 1.5, True])
    def test_a_word_that_is_no_string(self, word: object) -> None:
        with pytest.raises(ValueError, match="Argument 1 isn't a string"):
            commandline.validate(["echo", word])

    def test_nul(self) -> None:
        with pytest.raises(ValueError, match="Argument 2 has a NUL"):
            commandline.validate(["echo", "a", "b\0"])

    def test_bytes_that_are_not_utf8(self) -> None:
        with pytest.raises(ValueError, match=r"The program isn't valid UTF-8\."):
            commandline.validate([os.fsdecode(b"\xff")])

    def test_the_longest_argument_that_linux_takes(self) -> None:
        longest = "x" * ARGUMENT_LIMIT
        assert commandline.validate(["true", longest]) == ["true", longest]
        assert subprocess.run(["true", longest], check=False).returncode == 0
        with pytest.raises(ValueError, match="131071 bytes"):
            commandline.validate(["true", longest + "x"])

    def test_bytes_are_counted_not_characters(self) -> None:
        with pytest.raises(ValueError, match="131071 bytes"):
            commandline.validate(["true", "€" * (ARGUMENT_LIMIT // 2)])

    def test_the_longest_command(self) -> None:
        argv = ["true", *["x" * 100_000] * 10]
        assert commandline.validate(argv) == argv
        with pytest.raises(ValueError, match=f"{ARGV_LIMIT} bytes"):
            commandline.validate([*argv, "x" * 100_000])


class TestEnv:
    @given(st.dictionaries(words.filter(lambda name: name and "=" not in name), words))
    def test_what_a_process_can_be_given(self, env: dict[str, str]) -> None:
        assert commandline.validate_env(env) == env

    @pytest.mark.parametrize("env", [None, [], "A=b", [("A", "b")]])
    def test_what_is_no_mapping(self, env: object) -> None:
        with pytest.raises(ValueError, match="Environment variables are a dict"):
            commandline.validate_env(env)

    @pytest.mark.parametrize("name", ["", "A=B", "="])
    def test_a_name_that_none_can_have(self, name: str) -> None:
        with pytest.raises(ValueError, match="can't be the name"):
            commandline.validate_env({name: "x"})

    @pytest.mark.parametrize(
        ("env", "words"),
        [
            ({1: "x"}, "isn't a string"),
            ({"A": 1}, "'A' isn't a string"),
            ({"A": None}, "'A' isn't a string"),
            ({"A": "\0"}, "NUL"),
            ({"A\0": "x"}, "NUL"),
            ({"A": "\udcff"}, "UTF-8"),
        ],
    )
    def test_values(self, env: object, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            commandline.validate_env(env)


class TestPrintable:
    @given(st.text())
    def test_it_is_one_line_that_any_log_takes(self, text: str) -> None:
        shown = commandline.printable(text)
        assert shown.isprintable()
        shown.encode()

    def test_what_can_be_printed_stays(self) -> None:
        assert commandline.printable("a é € 😀 \\n") == "a é € 😀 \\n"

    def test_control_characters_are_shown(self) -> None:
        assert commandline.printable("a\nb\x1b[31m") == "a\\nb\\x1b[31m"


class TestBashLine:
    """What is shown to be copied into a terminal."""

    @given(argvs)
    @settings(max_examples=40, deadline=None)
    @pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
    def test_bash_reads_it_back_the_same(self, locale: str, argv: list[str]) -> None:
        script = f"printf '%s\\0' {commandline.bash_line(argv)}"
        bash = ["bash", "--norc", "-c", script]
        printed = subprocess.check_output(bash, env={**os.environ, "LC_ALL": locale})
        assert printed.decode().split("\0")[:-1] == argv

    @given(argvs)
    def test_it_is_one_line_without_control_characters(self, argv: list[str]) -> None:
        assert commandline.bash_line(argv).isprintable()

    @given(st.lists(st.text("aé '\"\\$`!*;~#", min_size=1), min_size=1))
    def test_words_that_can_be_printed_are_quoted_as_in_any_shell(self, argv: list[str]) -> None:
        assert commandline.bash_line(argv) == commandline.join(argv)

    @pytest.mark.parametrize(
        ("word", "shown"),
        [
            ("two\nlines", r"$'two\nlines'"),
            ("a\tb\x1b[31m", r"$'a\tb\e[31m'"),
            ("it's\r\\", r"$'it\'s\r\\'"),
            ("gpj.\u202eexe", r"$'gpj.\xe2\x80\xaeexe'"),
            ("\x01f", r"$'\x01f'"),
            ("größe 1\n", r"$'größe 1\n'"),
        ],
    )
    def test_others_have_escapes(self, word: str, shown: str) -> None:
        assert commandline.bash_line(["show", word]) == f"show {shown}"
