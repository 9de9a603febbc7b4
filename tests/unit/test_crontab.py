r"""Crontabs: what an entry runs and when, and that what is written is read as the same."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue import crontab
from jobqueue.definitions import Contents, Definition, canonical

ZONE = "Europe/Amsterdam"
#: One as operators have them.
CRONTAB = r"""# m h  dom mon dow   command
MAILTO=ada@example.com
PATH=/usr/local/bin:/usr/bin:/bin

# Nightly backup
30 3 * * * /usr/local/bin/backup.sh --full "two words"

# Orders: every five minutes in business hours,
# talk to Ada before changing this.
*/5 7-18 * * mon-fri  cd /srv/app && ./poll >> poll.log 2>&1
@daily /usr/bin/python3 /srv/report.py --day 5\%
@reboot /usr/bin/agent
"""


def read(text: str | bytes, *, system: bool = False, directory: str = "") -> Contents:
    data = text if isinstance(text, bytes) else text.encode()
    return crontab.read(data, system=system, zone=ZONE, directory=directory)


def entry(text: str, *, system: bool = False) -> Definition:
    contents = read(text, system=system)
    assert not contents.refused
    return contents.definitions[-1]


def refusal(text: str | bytes, *, system: bool = False) -> str:
    contents = read(text, system=system)
    assert not contents.definitions
    [refused] = contents.refused
    return refused.text


def test_a_whole_crontab() -> None:
    contents = read(CRONTAB)
    path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    shell = ["/bin/sh", "-c", "cd /srv/app && ./poll >> poll.log 2>&1"]
    assert [(d.line, d.name, d.expression, d.argv, d.env) for d in contents.definitions] == [
        (
            *(6, "Nightly backup", "30 3 * * *"),
            ["/usr/local/bin/backup.sh", "--full", "two words"],
            path,
        ),
        (
            *(10, "Orders: every five minutes in business hours", "*/5 7-18 * * mon-fri"),
            shell,
            path,
        ),
        (11, "report.py", "@daily", ["/usr/bin/python3", "/srv/report.py", "--day", "5%"], path),
    ]
    assert [refused.line for refused in contents.refused] == [12]
    assert [note.line for note in contents.notes] == [2]


class TestCommand:
    @pytest.mark.parametrize(
        "text",
        [
            "/usr/bin/true",
            "prog -a --b=c 1,2 x@y.z",
            """prog 'a | b; c' "d > e" f\\ g""",
            "prog '$HOME' '*' \\*",
            "find . -name '*.log' -exec gzip {} \\;",
            "prog a~b a#b ''",
        ],
    )
    def test_words_without_a_shell_are_those_with_one(self, text: str) -> None:
        argv = crontab.command(text)
        assert argv[0] != "/bin/sh"
        shown = ["sh", "-c", f"set -- {text}; printf '%s\\n' \"$@\""]
        assert subprocess.check_output(shown, text=True).splitlines() == argv

    @pytest.mark.parametrize(
        "text",
        [
            *("a | b", "a > b", "a < b", "a; b", "a && b", "a || b", "a &", "(a)", "a `b`"),
            *("a $HOME", 'a "$HOME"', "a $(b)", 'a "`b`"', "a *.log", "a ?", "a [ab]", "a ~/b"),
            *("~/a", "a --b=~/c", "a # b", "A=b c", "cd /srv", ". ./env", "exec a", "! a"),
            *("a {b,c}", 'a "\\$b"', "if a", "[ -x /a ]", "umask 022"),
        ],
    )
    def test_a_shell_reads_what_needs_one(self, text: str) -> None:
        assert crontab.command(text) == ["/bin/sh", "-c", text]
        assert crontab.command(text, "/bin/bash") == ["/bin/bash", "-c", text]

    @pytest.mark.parametrize("text", ["a 'b", 'a "b', "a \\"])
    def test_an_open_quote(self, text: str) -> None:
        assert "can't be read" in refusal(f"0 0 * * * {text}")

    def test_that_a_shell_is_needed_is_said(self) -> None:
        assert entry("@daily a | b").notes == (
            "It needs a shell: /bin/sh -c runs it as it stands.",
        )
        assert entry("@daily a 'b | c'").notes == ()

    @pytest.mark.parametrize("text", ["python /x/bots-job2queue.py -p1 a", "job2queue a"])
    def test_a_command_that_asks_a_queue_is_pointed_out(self, text: str) -> None:
        [note] = entry(f"@daily {text}").notes
        assert note.startswith("It asks a queue itself")

    def test_percent(self) -> None:
        assert entry(r"@daily date +\%F").argv == ["date", "+%F"]
        assert entry(r"@daily date '+\%F'").argv == ["date", "+%F"]
        for text in ("mail ada%hello", "a %", r"a \\%", r"a '\%' %b"):
            assert "input" in refusal(f"@daily {text}")


class TestTimes:
    @pytest.mark.parametrize(
        "times",
        [
            "0 5 * * *",
            "*/15\t0-6,20-23  1-31/2 JAN-MAR sun,Tue",
            "@hourly",
            "@ANNUALLY",
            "0 0 1 1 7",
        ],
    )
    def test_taken_over(self, times: str) -> None:
        assert entry(f"  {times}\t  prog").expression == " ".join(times.split())

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("61 * * * * prog", "minute: 61"),
            ("0 0 30 2 * prog", "never fires"),
            ("0 5 * * prog", "no command"),
            ("0 5 * * *", "no command"),
            ("@daily", "no command"),
            ("@reboot prog", "service manager"),
            ("@often prog", "unknown"),
            ("5-1 * * * * prog", "runs backwards"),
            ("nonsense", "no entry"),
            ("\x1b[2J", "no entry"),
        ],
    )
    def test_refused(self, text: str, why: str) -> None:
        assert why in refusal(text)


class TestVariables:
    def test_they_hold_for_what_follows(self) -> None:
        contents = read("@daily a\nA=1\n@daily b\nB = 2\nA=\n@daily c\n")
        assert [d.env for d in contents.definitions] == [{}, {"A": "1"}, {"A": "", "B": "2"}]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("A=b c", "b c"),
            ("A = b  ", "b"),
            ("A=' b '", " b "),
            ('A=" b "', " b "),
            ('"A"=b', "b"),
            ("A=$HOME/b:~", "$HOME/b:~"),
            ("A=b=c#d", "b=c#d"),
        ],
    )
    def test_values(self, text: str, value: str) -> None:
        assert entry(f"{text}\n@daily a").env == {"A": value}

    def test_the_shell(self) -> None:
        found = entry("SHELL=/bin/bash\n@daily a | b")
        assert (found.argv[0], found.env) == ("/bin/bash", {"SHELL": "/bin/bash"})

    def test_the_directory(self) -> None:
        assert entry("@daily a").working_directory == ""
        assert entry("HOME=/srv\n@daily a").working_directory == "/srv"
        assert read("@daily a", directory="/opt").definitions[0].working_directory == "/opt"

    def test_a_zone(self) -> None:
        contents = read("@daily a\nCRON_TZ=Asia/Tokyo\n@daily b\nCRON_TZ=\n@daily c")
        assert [d.zone for d in contents.definitions] == [ZONE, "Asia/Tokyo", ZONE]
        assert all(d.env == {} for d in contents.definitions)

    def test_no_zone(self) -> None:
        contents = read("CRON_TZ=Mars/X\n@daily a")
        assert [refused.line for refused in contents.refused] == [1, 2]

    def test_the_zone_of_the_command_is_no_zone_of_the_times(self) -> None:
        contents = read("TZ=Asia/Tokyo\n@daily a")
        assert (contents.definitions[0].zone, len(contents.notes)) == (ZONE, 1)
        assert contents.definitions[0].env == {"TZ": "Asia/Tokyo"}

    def test_mail_is_not_taken_over(self) -> None:
        contents = read('MAILTO=ada\nMAILTO=""\n@daily a')
        assert [note.line for note in contents.notes] == [1]
        assert contents.definitions[0].env == {}


class TestNames:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("# Nightly\n@daily a", "Nightly"),
            ("## Nightly report:\n@daily a", "Nightly report"),
            ("# Orders\n# ask Ada\n@daily a", "Orders"),
            ("# Other\n\n@daily /x/a", "a"),
            ("# Other\nA=b\n@daily /x/a", "a"),
            ("# 0 5 * * * old\n@daily /x/a", "a"),
            ("# m h dom mon dow user command\n@daily /x/a", "a"),
            ("# -----\n@daily /x/a", "a"),
            ("# 1\n# 2\n# 3\n# 4\n@daily /x/a", "a"),
            (f"# {'x' * 101}\n@daily /x/a", "a"),
            ("@daily python3 -u /x/report.py -v", "report.py"),
            ("@daily python3 -c pass", "python3"),
            ("@daily /bin/bash /x/run.sh", "run.sh"),
            ("@daily cd /srv && A=b ./poll > log", "poll"),
            ("@daily (a; b) | c", "a"),
            ("@daily 'a b' c", "a b"),
            ("@daily > log", "cron job"),
            ("@daily a\x1bb c", "cron job"),
        ],
    )
    def test_from_the_comment_or_the_program(self, text: str, name: str) -> None:
        assert entry(text).name == name

    def test_a_comment_names_one(self) -> None:
        assert [d.name for d in read("# N\n@daily a\n@daily b").definitions] == ["N", "b"]


class TestSystem:
    TEXT = "SHELL=/bin/sh\n# Poll\n*/5 * * * * root  /usr/bin/poll -a\n"

    def test_the_user_is_no_part_of_the_command(self) -> None:
        found = entry(self.TEXT, system=True)
        assert found.argv == ["/usr/bin/poll", "-a"]
        assert found.notes == ("Cron runs it as root; the service will as its own user.",)

    def test_an_entry_without_a_command(self) -> None:
        assert "no command" in refusal("@daily root", system=True)
        assert "no user" in refusal("@daily", system=True)

    @pytest.mark.parametrize(
        ("text", "guess"),
        [
            (TEXT, True),
            (TEXT + "@daily ada true\n", True),
            (TEXT + "@daily /usr/bin/true\n", False),
            ("@daily root\n", False),
            ("", False),
        ],
    )
    def test_a_guess(self, text: str, guess: bool) -> None:
        users = {"root", "ada"}
        assert crontab.looks_like_system(text.encode(), users.__contains__) is guess


class TestBytes:
    def test_of_other_editors(self) -> None:
        contents = read(b"\xef\xbb\xbf# Gr\xc3\xbc\xc3\x9fe\r\n@daily a b\r\n")
        assert [(d.name, d.argv) for d in contents.definitions] == [("Grüße", ["a", "b"])]

    def test_latin_1_and_nul(self) -> None:
        contents = read(b"@daily a\n@daily gr\xfc\xdfe\n@daily b\0\n@daily c")
        assert [d.line for d in contents.definitions] == [1, 4]
        assert [(r.line, r.text.partition(";")[0]) for r in contents.refused] == [
            (2, "It isn't valid UTF-8"),
            (3, "It has a NUL character: this is no text, or UTF-16."),
        ]

    def test_a_long_line(self) -> None:
        assert "longer than 128 KiB" in refusal("@daily a " + "b" * 128 * 1024)

    @pytest.mark.parametrize("text", ["A=b" + " " * 120_000 + "c", "# " + "dom " * 30_000])
    def test_a_hostile_line_takes_no_time(self, text: str) -> None:
        """The time limit of the tests is what fails here."""
        assert entry(f"{text}\n@daily a").argv == ["a"]

    def test_the_same_twice(self) -> None:
        contents = read("@daily a\nA=b\n@daily a\n# N\n@daily  'a'\n")
        assert [d.line for d in contents.definitions] == [1, 3]
        assert [(n.line, n.text) for n in contents.notes] == [
            (5, "The same as line 3: taken once.")
        ]


# Writing

_numbers = st.integers(0, 23).map(str)
_fields = st.sampled_from(["*", "*/2", "1-5", "1,3", "2/3", "1-5/2"])
_expressions = st.one_of(
    st.sampled_from(["@daily", "@WEEKLY", "0 0 1 * MON", "0 5 * JAN-mar fri", "0 0 5 * * *"]),
    st.builds("{0} {1} {2} * {3}".format, _numbers, _numbers, _fields, _fields),
)
_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_words = st.one_of(_text, st.sampled_from(["a b", "%F", "$HOME", "it's", '"', "a|b", "\\%", "~"]))
_envs = st.dictionaries(st.sampled_from(["A", "LANG", "'a'", "SHELL"]), _words, max_size=2)
_argvs = st.one_of(
    st.lists(_words, min_size=1, max_size=4),
    _words.map(lambda word: ["/bin/sh", "-c", f"true {word} | cat"]),
)


class TestWriting:
    @given(_argvs, _expressions, st.booleans(), _envs)
    def test_it_is_read_as_the_same_or_refused(
        self, argv: list[str], expression: str, both_days: bool, env: dict[str, str]
    ) -> None:
        given_one = a_definition(argv=argv, expression=expression, both_days=both_days, env=env)
        try:
            written = [*crontab.assignments(env), crontab.line(given_one)]
        except ValueError:
            return
        found = entry("\n".join(written))
        assert found.job_key() == given_one.job_key()
        assert canonical(found.expression) == canonical(expression)

    @pytest.mark.parametrize(
        ("argv", "line"),
        [
            (["/bin/a", "b c"], "0 5 * * * /bin/a 'b c'"),
            (["/bin/sh", "-c", "a | b"], "0 5 * * * a | b"),
            (["date", "+%F"], r"0 5 * * * date +\%F"),
        ],
    )
    def test_as_people_write_it(self, argv: list[str], line: str) -> None:
        assert crontab.line(a_definition(argv=argv)) == line

    def test_for_the_system(self) -> None:
        assert crontab.line(a_definition(argv=["a"]), "ada") == "0 5 * * * ada a"

    @pytest.mark.parametrize(
        ("over", "why"),
        [
            ({"expression": "30 0 5 * * *"}, "seconds"),
            ({"expression": "0 5 L * *"}, "no L"),
            ({"expression": "0 5 * * MON#1"}, "no L"),
            ({"expression": "0 5 1 * 1", "both_days": True}, "either"),
            ({"argv": ["a", "b\nc"]}, "the command"),
            ({"argv": ["cd", "/"]}, "the command"),
        ],
    )
    def test_what_cron_can_not_express(self, over: dict[str, object], why: str) -> None:
        with pytest.raises(ValueError, match=why):
            crontab.line(a_definition(**over))

    def test_both_days_where_one_is_any(self) -> None:
        definition = a_definition(expression="0 5 * * 1", both_days=True)
        assert crontab.line(definition) == "0 5 * * 1 true"


def a_definition(**over: object) -> Definition:
    given_one = Definition(line=1, name="N", argv=["true"], expression="0 5 * * *", zone=ZONE)
    return replace(given_one, **over)  # type: ignore[arg-type]
