"""A monitor at work: what it wants to look at when, and what it makes of what was seen; pure."""

from __future__ import annotations

import pytest

from dirmonitor.looking import Order, Seen
from dirmonitor.monitor import LOOK_EVERY, PATIENCE, SCAN_EVERY, WATCH_AGAIN, Config, Monitor
from dirmonitor.mounts import Mounts
from dirmonitor.scanning import Scan, Target
from dirmonitor.settling import Event
from dirmonitor.watching import Hint

LOCAL = Mounts(b"22 1 8:1 / / rw - ext4 /dev/root rw")
SHARE = Mounts(b"22 1 8:1 / /in rw - nfs4 server:/ rw")
ROOTS = {b"/in": (1, 2)}
NOW = 1000.0


class World:
    """A monitor of ``/in``, and a file system that is made up here."""

    def __init__(self, *, mode: str = "auto", recursive: bool = False) -> None:
        target = Target(b"/in", "*.edi", recursive)
        self.monitor = Monitor(7, Config(target, mode, 2, 2), {}, NOW)
        self.now, self.mounts = NOW, LOCAL

    def order(self) -> Order | None:
        return self.monitor.order(self.mounts, self.now)

    def ordered(self) -> Order:
        order = self.order()
        assert order is not None, "nothing is to be looked at"
        return order

    def seen(self, scan: Scan | None = None, **over: object) -> None:
        """The answer to what it orders now: by default there is an empty directory."""
        order = self.ordered()
        found = scan or Scan(ROOTS, {}, {b"/in"})
        seen = Seen(order, self.now, self.now, roots=found.roots, polled=order.polled)
        if order.is_scan:
            seen.scan = found
        for name, value in over.items():
            setattr(seen, name, value)
        self.monitor.apply(seen, self.now)

    def status(self) -> tuple[str, str]:
        return self.monitor.status(self.now)


@pytest.fixture
def world() -> World:
    return World()


def test_a_path_that_nobody_has_checked_is_not_looked_at(world: World) -> None:
    wrong = Config(Target(b"/", "*", True), "auto", 2, 2, wrong="No.")
    world.monitor.reconfigure(wrong, world.now)
    assert world.order() is None
    assert world.monitor.next_at() is None
    assert world.monitor.to_glance_at(world.mounts, world.now) is None
    assert world.status() == ("unreachable", "No.")


def test_where_nothing_can_be_read_it_says_why(world: World) -> None:
    denied = PermissionError(13, "Permission denied")
    world.seen(Scan(ROOTS, errors={b"/in": denied}), polled="The directory may not be read.")
    assert world.status() == ("unreachable", "Permission denied.")
    world.now += 2
    world.seen()
    assert world.status()[0] == "polling"


def test_first_all_is_scanned_then_once_a_minute(world: World) -> None:
    assert world.status() == ("", "")
    world.seen()
    assert world.status() == ("watching", "")
    assert world.monitor.next_at() == NOW + SCAN_EVERY
    world.now += SCAN_EVERY
    assert world.ordered().is_scan


def test_while_a_look_goes_on_there_is_no_other(world: World) -> None:
    world.ordered()
    assert world.order() is None
    assert world.monitor.next_at() is None
    world.now += PATIENCE + 1
    assert world.status()[0] == "unreachable"


def test_what_is_polled_is_scanned_each_time() -> None:
    world = World(mode="poll")
    world.seen()
    assert world.status() == ("polling", "As it is set.")
    assert world.monitor.next_at() == NOW + 2


def test_a_scan_that_takes_long_is_made_less_often() -> None:
    world = World(mode="poll")
    world.seen(cpu=3.0)
    assert world.monitor.next_at() == NOW + 15


def test_a_share_is_polled_whatever_the_mode() -> None:
    world = World(mode="inotify")
    world.mounts = SHARE
    assert world.ordered().share == "nfs4"
    assert world.monitor.to_glance_at(SHARE, world.now) is None


def test_out_of_watches_it_is_polled_and_tries_again_after_a_minute(world: World) -> None:
    world.seen(polled="Out of watches.")
    assert world.status() == ("polling", "Out of watches.")
    world.now += 2
    assert world.ordered().polled == "Out of watches."
    world = World()
    world.seen(polled="Out of watches.")
    world.now += WATCH_AGAIN
    assert world.ordered().polled == ""


def test_links_are_scanned_as_often_as_what_is_polled(world: World) -> None:
    world.seen(Scan(ROOTS, {}, {b"/in"}, has_links=True))
    assert world.status() == ("watching", "")
    assert world.monitor.next_at() == NOW + 2


def test_a_path_that_can_not_be_looked_at_is_tried_each_second(world: World) -> None:
    world.seen(error=OSError(107, "Transport endpoint is not connected"))
    assert world.status() == ("unreachable", "Transport endpoint is not connected.")
    assert world.monitor.next_at() == NOW + LOOK_EVERY
    world.now += LOOK_EVERY
    world.seen()
    assert world.status() == ("watching", "")


def test_healthy_local_paths_are_glanced_at_together(world: World) -> None:
    assert world.monitor.to_glance_at(LOCAL, world.now) is None
    world.seen()
    assert world.monitor.to_glance_at(LOCAL, world.now) == (Target(b"/in", "*.edi", False), ROOTS)
    world.monitor.look_soon()
    assert not world.ordered().is_scan


def test_a_look_that_hangs_means_nothing_when_the_path_leads_elsewhere(world: World) -> None:
    world.mounts = SHARE
    world.ordered()
    world.now += PATIENCE + 1
    assert world.monitor.to_glance_at(SHARE, world.now) is None
    assert world.order() is None
    assert world.monitor.to_glance_at(LOCAL, world.now) is None
    assert world.monitor.leads_elsewhere
    world.mounts = LOCAL
    assert world.ordered().is_scan


class TestHints:
    def test_of_a_file_that_is_meant(self, world: World) -> None:
        world.seen()
        world.monitor.hint(Hint(7, b"/in/a.edi", Event.ARRIVED), world.now)
        assert world.ordered().pending == [b"/in/a.edi"]

    @pytest.mark.parametrize("path", [b"/in/a.csv", b"/in/sub/a.edi", b"/in2/a.edi"])
    def test_of_one_that_is_not(self, world: World, path: bytes) -> None:
        world.seen()
        world.monitor.hint(Hint(7, path, Event.ARRIVED), world.now)
        assert world.order() is None

    def test_of_a_new_directory_only_that_is_listed(self) -> None:
        world = World(recursive=True)
        world.seen()
        world.monitor.hint(Hint(7, directory=b"/in/sub"), world.now)
        order = world.ordered()
        assert (order.is_scan, order.directories) == (False, [b"/in/sub"])

    def test_of_a_directory_that_does_not_count(self, world: World) -> None:
        world.seen()
        world.monitor.hint(Hint(7, directory=b"/in/sub"), world.now)
        assert world.order() is None

    @pytest.mark.parametrize("hint", [Hint(7), Hint(7, directory=b"/in")])
    def test_of_the_root_or_of_anything_all_is_scanned(self, world: World, hint: Hint) -> None:
        world.seen()
        world.monitor.hint(hint, world.now)
        assert world.ordered().is_scan


class TestReconfigure:
    def test_all_is_scanned_anew(self, world: World) -> None:
        world.seen()
        config = Config(Target(b"/in", "*", False), "auto", 2, 2)
        world.monitor.reconfigure(config, world.now)
        assert world.ordered().target.masks == "*"

    def test_an_answer_to_what_was_asked_before_means_nothing(self, world: World) -> None:
        order = world.ordered()
        config = Config(Target(b"/in", "*", False), "auto", 2, 2)
        world.monitor.reconfigure(config, world.now)
        files = {b"/in/a.edi": (1, 1, 1)}
        world.monitor.apply(Seen(order, NOW, scan=Scan(ROOTS, files), roots=ROOTS), world.now)
        assert not world.monitor.settler.pending
        assert world.ordered().is_scan

    def test_where_a_look_hangs_no_other_one_is_made(self, world: World) -> None:
        order = world.ordered()
        world.now += PATIENCE + 1
        config = Config(Target(b"/in", "*", False), "auto", 2, 2)
        world.monitor.reconfigure(config, world.now)
        assert world.order() is None
        world.monitor.apply(Seen(order, NOW, roots=ROOTS), world.now)
        assert world.ordered().is_scan
