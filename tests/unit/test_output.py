"""Reading the log of a run."""

from pathlib import Path

import pytest

from jobqueue.output import follow, tail

EURO = "€".encode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


class TestTail:
    def test_there_is_no_file(self, log: Path) -> None:
        assert tail(log, 100) == ""

    def test_the_path_is_a_directory(self, tmp_path: Path) -> None:
        assert tail(tmp_path, 100) == ""

    def test_an_empty_file(self, log: Path) -> None:
        log.touch()
        assert tail(log, 100) == ""

    def test_a_short_file_comes_whole(self, log: Path) -> None:
        log.write_bytes(b"one\ntwo\n")
        assert tail(str(log), 8) == "one\ntwo\n"
        assert tail(str(log), 100) == "one\ntwo\n"

    def test_nothing_is_asked_for(self, log: Path) -> None:
        log.write_bytes(b"one\ntwo\n")
        assert tail(log, 0) == ""

    def test_it_begins_with_a_line(self, log: Path) -> None:
        log.write_bytes(b"first line\nsecond line\nthird line\n")
        assert tail(log, 20) == "third line\n"

    def test_a_line_that_begins_at_the_cut_is_kept(self, log: Path) -> None:
        log.write_bytes(b"one\ntwo\nthree\n")
        assert tail(log, 10) == "two\nthree\n"

    def test_an_endless_line_is_cut_anywhere(self, log: Path) -> None:
        log.write_bytes(b"x" * 10_000)
        assert tail(log, 5_000) == "x" * 5_000

    def test_a_line_break_at_the_very_end_only(self, log: Path) -> None:
        log.write_bytes(b"x" * 500 + b"\n")
        assert tail(log, 100) == "x" * 99 + "\n"

    def test_a_far_line_break_drops_nothing(self, log: Path) -> None:
        log.write_bytes(b"x" * 5_000 + b"\nend\n")
        assert tail(log, 4_000) == "x" * 3_995 + "\nend\n"

    def test_a_near_line_break_is_within_a_kibibyte(self, log: Path) -> None:
        log.write_bytes(b"x" * 5_000 + b"\n" + b"y" * 3_000)
        assert tail(log, 3_000 + 1_024) == "y" * 3_000

    @pytest.mark.parametrize("size", [5, 6, 7, 8])
    @pytest.mark.parametrize("character", ["é", "€", "😀"])
    def test_no_character_is_cut(self, log: Path, size: int, character: str) -> None:
        log.write_bytes(character.encode() * 10)
        whole = size // len(character.encode())
        assert tail(log, size) == character * whole

    def test_what_is_not_utf8_is_replaced(self, log: Path) -> None:
        log.write_bytes(b"Gr\xfc\xdfe\n")
        assert tail(log, 100) == "Gr��e\n"

    def test_not_more_than_a_character_is_dropped_at_the_cut(self, log: Path) -> None:
        log.write_bytes(b"\x80" * 10)
        assert tail(log, 8) == "�" * 5

    def test_nul_is_replaced(self, log: Path) -> None:
        log.write_bytes(b"a\0b\n")
        assert tail(log, 100) == "a�b\n"

    def test_a_huge_file_is_not_read_from_its_beginning(self, log: Path) -> None:
        with log.open("wb") as file:
            file.truncate(2**40)
            file.seek(0, 2)
            file.write(b"\nthe end\n")
        assert tail(log, 20) == "the end\n"


class TestFollow:
    def test_there_is_no_file_yet(self, log: Path) -> None:
        follower = follow(log)
        assert follower.read() == ""
        log.write_bytes(b"now\n")
        assert follower.read() == "now\n"

    def test_each_read_gives_what_is_new(self, log: Path) -> None:
        follower = follow(str(log))
        seen = []
        with log.open("ab", buffering=0) as file:
            for line in (b"one\n", b"tw", b"o\n", b""):
                file.write(line)
                seen.append(follower.read())
        assert seen == ["one\n", "tw", "o\n", ""]

    def test_a_character_that_comes_in_parts(self, log: Path) -> None:
        follower = follow(log)
        seen = []
        with log.open("ab", buffering=0) as file:
            for part in (EURO[:1], EURO[1:2], EURO[2:]):
                file.write(part)
                seen.append(follower.read())
        assert seen == ["", "", "€"]

    def test_what_is_not_text(self, log: Path) -> None:
        log.write_bytes(b"\xff\0\n")
        assert follow(log).read() == "��\n"

    def test_a_cut_below_the_place_reached_is_said(self, log: Path) -> None:
        log.write_bytes(b"x" * 100 + EURO[:2])
        follower = follow(log)
        follower.read()
        log.write_bytes(b"y" * 50)
        assert "The log was cut" in follower.read()
        with log.open("ab") as file:
            file.write(b"new\n")
        assert follower.read() == "new\n"

    def test_the_file_goes_away(self, log: Path) -> None:
        log.write_bytes(b"one\n")
        follower = follow(log)
        follower.read()
        log.unlink()
        assert follower.read() == ""
