"""Reading the log of a run."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.output import Part, count_lines, find, follow, part_after, part_before, tail

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


def joined(part: Part) -> str:
    return "".join(text for _, text in part.lines)


class TestParts:
    def test_the_end_begins_with_a_line(self, log: Path) -> None:
        log.write_bytes(b"first line\nsecond line\nthird")
        part = part_before(log, None, 20)
        assert part == Part(11, 28, 28, [(11, "second line\n"), (23, "third")], False)
        assert part_before(log, 11, 20).lines == [(0, "first line\n")]

    def test_an_empty_file(self, log: Path) -> None:
        log.touch()
        assert part_before(log, None, 20) == Part(0, 0, 0, [], False)
        assert part_after(log, 0, 20) == Part(0, 0, 0, [], False)

    def test_there_is_no_file(self, log: Path) -> None:
        for read in (lambda: part_before(log, None, 9), lambda: part_after(log, 0, 9)):
            with pytest.raises(OSError, match="No such file"):
                read()

    def test_what_was_added(self, log: Path) -> None:
        log.write_bytes(b"one\ntw")
        first = part_before(log, None, 100)
        log.write_bytes(b"one\ntwo\nthree\n")
        second = part_after(log, first.end, 100)
        assert second == Part(6, 14, 14, [(6, "o\n"), (8, "three\n")], True)
        assert part_after(log, 14, 100) == Part(14, 14, 14, [], False)

    def test_a_character_that_is_not_there_as_a_whole(self, log: Path) -> None:
        log.write_bytes(b"a" + EURO[:2])
        part = part_after(log, 0, 100)
        assert (part.lines, part.end) == ([(0, "a")], 1)
        log.write_bytes(b"a" + EURO)
        assert part_after(log, 1, 100).lines == [(1, "€")]

    def test_a_file_that_was_cut(self, log: Path) -> None:
        log.write_bytes(b"short\n")
        assert part_after(log, 1000, 100) == Part(6, 6, 6, [], False)
        assert part_before(log, 1000, 100).end == 6

    def test_only_a_line_feed_ends_a_line(self, log: Path) -> None:
        log.write_bytes("a\rb\x0cc\u2028d\r\ne\n".encode())
        assert len(part_before(log, None, 100).lines) == 2

    @given(st.binary(max_size=400), st.integers(1, 60))
    def test_forwards_nothing_is_left_out_or_comes_twice(self, data: bytes, length: int) -> None:
        """With room for a character; what is incomplete at the very end may be left."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            at, text = 0, b""
            while (part := part_after(file.name, at, length + 3)).end > at:
                assert part.start == at
                text += data[part.start : part.end]
                at = part.end
            assert data.startswith(text)
            assert len(data) - len(text) < 4

    @given(st.text(max_size=300), st.integers(4, 60))
    def test_backwards_all_characters_are_whole(self, text: str, length: int) -> None:
        data = text.encode()
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            shown, end = "", len(data)
            while end > 0:
                part = part_before(file.name, end, length)
                assert part.start < end == part.end
                shown, end = joined(part) + shown, part.start
            assert shown == text.replace("\0", "\N{REPLACEMENT CHARACTER}")


class TestLooking:
    def test_lines_are_counted(self, log: Path) -> None:
        log.write_bytes(b"x\n" * 700_000 + b"y")
        assert count_lines(log, 0) == 0
        assert count_lines(log, 3) == 1
        assert count_lines(log, 10**9) == 700_000

    def test_a_text_is_found(self, log: Path) -> None:
        log.write_bytes(b"one\nERROR: two\nerror: three\n")
        assert find(log, "Error") == 4
        assert find(log, "error", 5) == 15
        assert find(log, "error", 16) is None
        assert find(log, "€") is None

    def test_across_the_border_of_two_blocks(self, log: Path) -> None:
        log.write_bytes(b"." * (2**20 - 3) + b"needle" + b"." * 2**20)
        assert find(log, "needle") == 2**20 - 3
        assert find(log, "needle", 2**20 - 2) is None
