"""What a bots.ini says: as Bots reads it, and what can't be taken over."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dirmonitor.bots.ini import Contents, Monitor, read, wrong_route

SETTINGS = "[settings]\nmaxruntime = 90\n"


def said(text: str) -> Contents:
    return read((SETTINGS + text).encode())


def one(text: str) -> Monitor:
    (monitor,) = said(f"[dirmonitor1]\n{text}").monitors
    return monitor


def refused(text: str) -> list[tuple[int | None, str]]:
    return [(remark.line, remark.text) for remark in said(text).refused]


def noted(text: str) -> list[str]:
    return [f"{remark.line}: {remark.text}" for remark in said(text).notes]


class TestMonitors:
    def test_all_keys(self) -> None:
        text = "path = /in/orders/\nfilemask: *.edi\nRecursive = yes\nroute = my orders\n"
        assert one(text) == Monitor(3, "dirmonitor1", "/in/orders", "*.edi", True, "my orders")

    def test_defaults_are_those_of_bots(self) -> None:
        assert one("path = /in") == Monitor(3, "dirmonitor1", "/in", "*", False, "")
        assert one("path = /in\nroute =\n").route == ""

    def test_any_end_of_the_name_is_one_but_none_is_for_all_of_them(self) -> None:
        text = "[dirmonitor]\n[dirmonitorX]\npath=/x\n[dirmonitor 2]\npath=/2\n[other]\npath=/o\n"
        assert [monitor.section for monitor in said(text).monitors] == [
            "dirmonitorX",
            "dirmonitor 2",
        ]

    def test_percent_signs_and_dollars_mean_nothing(self) -> None:
        monitor = one("path = /in/%(x)s/%d\nfilemask = 100%*.${y}\n")
        assert (monitor.path, monitor.filemask) == ("/in/%(x)s/%d", "100%*.${y}")

    def test_a_default_section_counts_for_all(self) -> None:
        contents = said("[DEFAULT]\nrecursive = on\nx = 1\n[dirmonitor1]\npath = /in\n")
        assert (contents.monitors[0].recursive, contents.notes) == (True, [])

    def test_what_is_otherwise_than_in_bots_is_noted(self) -> None:
        assert one("path = /in\nfilemask =\n").filemask == "*"
        assert "empty filemask" in one("path = /in\nfilemask =\n").notes[0]
        assert "; separates" in one("path = /in\nfilemask = *.a;*.b\n").notes[0]

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("path = /in ; orders", "path"),
            ("path = /in\nfilemask = *.edi\t# orders", "filemask"),
            ("path = /in\nroute = night #1", "route"),
        ],
    )
    def test_what_looks_like_a_comment_is_noted(self, text: str, key: str) -> None:
        (note,) = [note for note in one(text).notes if "comment" in note]
        assert f"is taken for a part of the {key}" in note

    def test_a_name_may_have_their_characters(self) -> None:
        assert one("path = /in#1\nfilemask = a#b.edi\n").notes == ()

    def test_the_same_twice_is_taken_once(self) -> None:
        text = (
            "[dirmonitor1]\npath=/in\n[dirmonitor2]\npath=/in/\n[dirmonitor3]\npath=/in\nroute=x\n"
        )
        assert [monitor.section for monitor in said(text).monitors] == [
            "dirmonitor1",
            "dirmonitor3",
        ]
        assert noted(text) == ["5: [dirmonitor2] says the same as [dirmonitor1]: taken once."]

    @pytest.mark.parametrize(
        ("text", "line", "why"),
        [
            ("filemask = *", 3, "[dirmonitor1] path: it is missing"),
            ("path =", 4, "path: it is missing"),
            (
                "recursive = no\npath = in/orders",
                5,
                "relative to where bots-dirmonitor was started",
            ),
            ("path = ~/in", 4, "'~/in' is relative"),
            ("path = C:/edi/in", 4, "one of Windows"),
            (r"path = \\server\share", 4, r"path: '\\server\share' is one of Windows"),
            ("path = /in\nrecursive = maybe", 5, "recursive: it is True or False, not 'maybe'"),
            ("path = /in\nroute = --cleanup", 5, "'--cleanup' is no name of a route"),
            ("path = /in\nroute = -c/etc", 5, "no name of a route"),
            ("path = /in\nroute = ?", 5, "no name of a route"),
        ],
    )
    def test_what_is_refused(self, text: str, line: int, why: str) -> None:
        ((where, reason),) = refused(f"[dirmonitor1]\n{text}\n")
        assert where == line
        assert why in reason
        assert not said(f"[dirmonitor1]\n{text}\n").monitors


class TestTheRest:
    def test_keys_that_are_not_taken_over_are_named(self) -> None:
        text = "[jobqueue]\nenabled=1\nport=1\nlauchfrequency=5\nnovelty=1\n"
        text += "[dirmonitor1]\npath=/in\nrootpath=/in\n"
        lines = noted(text)
        assert [line.split(" is")[0] for line in lines] == [
            "5: [jobqueue] port",
            "6: [jobqueue] lauchfrequency",
            "7: [jobqueue] novelty",
            "10: [dirmonitor1] rootpath",
        ]
        assert lines[-1].endswith("it is none that Bots reads there.")

    def test_a_queue_that_is_off(self) -> None:
        contents = said("[jobqueue]\nenabled = False\n[dirmonitor1]\npath = /in\n")
        assert not contents.are_monitors_on
        assert "[jobqueue] enabled is off" in contents.notes[0].text
        assert said("[dirmonitor1]\npath = /in\n").are_monitors_on
        assert refused("[jobqueue]\nenabled = perhaps\n") == [
            (4, "[jobqueue] enabled: it is True or False.")
        ]

    @pytest.mark.parametrize("text", ["1", "90", "527040"])
    def test_minutes(self, text: str) -> None:
        assert read(f"[settings]\nmaxruntime={text}\n".encode()).max_runtime == timedelta(
            minutes=int(text)
        )

    @pytest.mark.parametrize("text", ["0", "-5", "1.5", "1_0", "٣", "", "60 minutes", "9" * 5000])
    def test_no_minutes(self, text: str) -> None:
        contents = read(f"[settings]\nmaxruntime={text}\n".encode())
        assert contents.max_runtime is None
        assert contents.refused[0].line == 2
        assert len(contents.refused[0].text) < 200

    def test_where_bots_has_its_data(self) -> None:
        assert said("").botssys == "botssys"
        assert said("[directories]\nbotssys = /srv/botssys\n").botssys == "/srv/botssys"

    @pytest.mark.parametrize("route", ["-x", "--new", "-c/x", "-", "?", "/?"])
    def test_no_routes(self, route: str) -> None:
        assert "takes it for an option" in wrong_route(route)

    @pytest.mark.parametrize("route", ["night", "my orders", "a-b", "/x"])
    def test_routes(self, route: str) -> None:
        assert wrong_route(route) == ""


class TestTheFile:
    def test_a_byte_order_mark_and_line_ends_of_windows(self) -> None:
        contents = read(b"\xef\xbb\xbf; comment\r\n[dirmonitor1]\r\npath = /in\r\nroute = x\r\n")
        assert contents.monitors == [Monitor(2, "dirmonitor1", "/in", "*", False, "x")]

    def test_comments_may_be_in_any_encoding(self) -> None:
        contents = read(b"# caf\xe9\n[dirmonitor1]\n ; \xff\npath = /in/caf\xc3\xa9\n")
        assert [monitor.path for monitor in contents.monitors] == ["/in/café"]

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "no section of a bots.ini"),
            (b"\n# only a comment\n", "no section of a bots.ini"),
            (b"[other]\na = b\n", "no section of a bots.ini"),
            (b"path = /in\n", "Line 1: a bots.ini begins with a [section], not with 'path = /in'"),
            (
                b"[settings]\n[dirmonitor1]\npath=/\n[dirmonitor1]\n",
                "Line 4: [dirmonitor1] is there twice",
            ),
            (b"[dirmonitor1]\npath=/a\nPath=/b\n", "Line 3: [dirmonitor1] path is there twice"),
            (b"[settings]\nnonsense\n", "Line 2 is no [section], no key = value"),
            (b"[settings]\nx = caf\xe9\n", "Line 2 isn't valid UTF-8"),
            ("[settings]\n".encode("utf-16"), "NUL character"),
        ],
    )
    def test_what_cannot_be_read(self, data: bytes, why: str) -> None:
        with pytest.raises(ValueError, match=re.escape(why)):
            read(data)

    def test_a_hundred_thousand_lines(self) -> None:
        text = "".join(f"[dirmonitor{n}]\npath=/in/{n}\nroute=r{n % 9}\n\n" for n in range(25_000))
        contents = said(text)
        assert len(contents.monitors) == 25_000
        assert contents.monitors[-1].line == 99_999

    def test_a_value_over_several_lines_is_refused_where_it_begins(self) -> None:
        text = "[dirmonitor1]\nroute =\n\n  --new\n#\n  path = /in\npath = in\n"
        ((line, why),) = refused(text)
        assert (line, "route: it goes on over several lines" in why) == (4, True)

    def test_keys_may_be_indented(self) -> None:
        assert refused("[dirmonitor1]\n  recursive = no\n  path = in\n")[0][0] == 5

    @given(st.binary(max_size=300))
    @example(b"[dirmonitor1]\npath")
    @example(b"[dirmonitor\npath=/in")
    @example(b"[settings]\n\x85=\n \xc2\x85")
    def test_anything_is_read_or_refused_in_words(self, data: bytes) -> None:
        assert understood(b"[settings]\n" + data)

    @given(st.text(alphabet="[]dirmonitor12=:;#%\n\r \tpath/xé", max_size=200))
    def test_so_is_all_that_looks_like_one(self, text: str) -> None:
        assert understood(f"[settings]\n{text}".encode())


def understood(data: bytes) -> bool:
    """Whether a file is taken, each monitor with what it needs, or refused with a reason."""
    try:
        monitors = read(data).monitors
    except UnicodeError:
        return False
    except ValueError as error:
        return str(error) != ""
    return all(monitor.line > 1 and monitor.path.startswith("/") for monitor in monitors)
