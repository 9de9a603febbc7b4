"""Which files a monitor's path and masks mean, on a file system made up here."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirmonitor import matching

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"/\0"))


def roots(path: bytes, tree: set[bytes]) -> list[bytes]:
    """What a path stands for where there are these paths and no others."""

    def names(directory: bytes) -> list[bytes]:
        return [os.path.basename(p) for p in tree if p != b"/" and os.path.dirname(p) == directory]

    return list(matching.roots(path, tree.__contains__, names))


class TestMasks:
    @pytest.mark.parametrize(
        ("name", "masks"),
        [
            (b"a.edi", "*"),
            (b"a.edi", "*.csv;*.edi"),
            (b"a.edi", " *.csv ; *.edi ; "),
            (b"a1.edi", "a[0-9].edi"),
            (b"a[.edi", "a[.edi"),  # a bracket that doesn't close is itself
            (b"..", ".."),
            (b"\xff.edi", "?.edi"),
            (b"new\nline.edi", "*.edi"),
            (b"x" * 251 + b".edi", "*.edi"),
        ],
    )
    def test_fits(self, name: bytes, masks: str) -> None:
        assert matching.matches(name, masks)

    @pytest.mark.parametrize(
        ("name", "masks"),
        [
            (b"a.EDI", "*.edi"),  # case as on the file system
            (b"a.edi.tmp", "*.edi"),
            (b"a.edi\n", "*.edi"),
            (b"a.edi", ""),
            (b"a.edi", " ; "),
        ],
    )
    def test_does_not_fit(self, name: bytes, masks: str) -> None:
        assert not matching.matches(name, masks)

    def test_a_thousand_masks(self) -> None:
        masks = ";".join(f"part{number}*" for number in range(1000))
        assert matching.matches(b"part999.edi", masks)
        assert not matching.matches(b"other.edi", masks)

    def test_a_mask_made_to_be_slow(self) -> None:
        assert not matching.matches(b"a" * 255, "*a" * 100 + "b")

    @given(NAMES)
    def test_a_star_fits_every_name(self, name: bytes) -> None:
        assert matching.matches(name, "*")


class TestBelongs:
    @pytest.mark.parametrize(
        ("path", "recursive", "expected"),
        [
            (b"/in/a", False, True),
            (b"/in", False, True),
            (b"/in2/a", True, False),
            (b"/in2", True, False),
            (b"/in/sub/a", False, False),
            (b"/in/sub/a", True, True),
            (b"/i", True, False),
            (b"/in/", True, False),
        ],
    )
    def test_to_the_directory_in(self, path: bytes, recursive: bool, expected: bool) -> None:
        assert matching.belongs(path, {b"/in"}, recursive=recursive) is expected


class TestRoots:
    def test_a_path_without_wildcards_is_itself(self) -> None:
        assert roots(b"/in", {b"/in"}) == [b"/in"]

    def test_what_is_not_there_stands_for_nothing(self) -> None:
        assert roots(b"/in", set()) == []
        assert roots(b"/in*", {b"/out"}) == []

    def test_wildcards_in_any_part(self) -> None:
        tree = {b"/a1", b"/a1/in", b"/a2", b"/a2/in", b"/a2/out", b"/b", b"/b/in"}
        assert roots(b"/a?/in", tree) == [b"/a1/in", b"/a2/in"]
        assert roots(b"/*/in", tree) == [b"/a1/in", b"/a2/in", b"/b/in"]

    def test_a_literal_name_wins(self) -> None:
        assert roots(b"/in[1]", {b"/in1", b"/in[1]"}) == [b"/in[1]"]
        assert roots(b"/in[1]", {b"/in1"}) == [b"/in1"]

    def test_a_hidden_name_must_be_meant(self) -> None:
        assert roots(b"/*", {b"/.hidden", b"/seen"}) == [b"/seen"]
        assert roots(b"/.*", {b"/.hidden", b"/seen"}) == [b"/.hidden"]

    def test_names_that_are_no_text(self) -> None:
        assert roots(b"/in*", {b"/in\xff"}) == [b"/in\xff"]
