"""When schedules fire: the rules one by one. All at once: test_recurrence_oracle.py."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue.recurrence import (
    COUNT_LIMIT,
    LONGEST_INTERVAL,
    SHORTEST_INTERVAL,
    Cron,
    Interval,
    Once,
    Recurrence,
    describe,
    describe_interval,
    latest,
    local_moment,
    next_fires,
    odd_times,
    zone_info,
)

PAGE = Path(__file__).resolve().parents[2] / "docs/schedules.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
AMSTERDAM = "Europe/Amsterdam"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(moments: list[datetime], zone: str = "UTC") -> list[str]:
    """As clocks of a zone show them."""
    return [f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" for moment in moments]


def fires(expression: str, count: int = 3, **options: bool) -> list[str]:
    """The first fires of 2026 in UTC; without seconds, where they are 0."""
    moments = next_fires(expression, NOW - timedelta(seconds=1), "UTC", count, **options)
    return [text.removesuffix(":00") for text in shown(moments)]


def days(expression: str, count: int = 4, **options: bool) -> list[str]:
    return [text[5:10] for text in fires(expression, count, **options)]


class TestFields:
    @pytest.mark.parametrize(
        ("minutes", "values"),
        [
            ("*", [0, 1, 2, 3]),
            ("5", [5, 65, 125]),
            ("05,007", [5, 7, 65]),
            ("10-12", [10, 11, 12, 70]),
            ("10-10", [10, 70]),
            ("*/20", [0, 20, 40, 60]),
            ("*/25", [0, 25, 50, 60]),
            ("10-30/10", [10, 20, 30, 70]),
            ("10-29/10", [10, 20, 70]),
            ("40/10", [40, 50, 100]),
            ("5-5/4", [5, 65]),
            ("*/60", [0, 60]),
            ("*/" + "9" * 100, [0, 60]),
            ("10-20/11", [10, 70]),
            ("59/2", [59, 119]),
            ("30,*/20,30", [0, 20, 30, 40]),
            ("50-55/5,0", [0, 50, 55, 60]),
        ],
    )
    def test_values(self, minutes: str, values: list[int]) -> None:
        start = NOW - timedelta(seconds=1)
        found = next_fires(f"{minutes} * * * *", start, "UTC", len(values))
        assert [(moment - NOW) // timedelta(minutes=1) for moment in found] == values

    def test_five_begin_with_the_minute_and_six_with_the_second(self) -> None:
        assert fires("1 2 * * *", 1) == ["2026-01-01 02:01"]
        assert fires("1 2 3 * * *", 1) == ["2026-01-01 03:02:01"]

    def test_each_second(self) -> None:
        assert fires("58/1 * * * * *", 3) == [
            "2026-01-01 00:00:58",
            "2026-01-01 00:00:59",
            "2026-01-01 00:01:58",
        ]

    @pytest.mark.parametrize("name", ["feb", "Feb", "FEB", "2", "02", "feb-feb", "2-12/11"])
    def test_months(self, name: str) -> None:
        assert days(f"0 0 3 {name} *", 2) == ["02-03", "02-03"]

    @pytest.mark.parametrize("name", ["0", "7", "00", "sun", "Sun", "7-7", "0-6/7", "*/7", "7/2"])
    def test_sunday_is_0_and_7(self, name: str) -> None:
        assert days(f"0 0 * * {name}") == ["01-04", "01-11", "01-18", "01-25"]

    @pytest.mark.parametrize("name", ["fri-7", "5-7", "FRI,sat,0", "5/1"])
    def test_ranges_of_weekdays_may_end_with_7(self, name: str) -> None:
        assert days(f"0 0 * * {name}") == ["01-02", "01-03", "01-04", "01-09"]

    @pytest.mark.parametrize(
        ("alias", "same"),
        [
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
            ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@hourly", "0 * * * *"),
            (" @Daily\n", "0 0 * * *"),
        ],
    )
    def test_names_for_whole_expressions(self, alias: str, same: str) -> None:
        assert fires(alias) == fires(same)

    @pytest.mark.parametrize(
        "expression", ["  0 0 * * *  ", "0\t0 *  * *", "0 0 * * *\n", "\r\n0 0 * * *"]
    )
    def test_white_space_is_free(self, expression: str) -> None:
        assert fires(expression) == fires("0 0 * * *")

    def test_200_characters(self) -> None:
        longest = ",".join(["59"] * 64) + " * * * *"
        assert len(longest) == 199
        assert fires(longest + " ") == fires("59 * * * *")
        with pytest.raises(ValueError, match="at most 200 characters"):
            fires(longest + "  ")


class TestDays:
    @pytest.mark.parametrize(
        ("day_and_weekday", "found"),
        [
            ("13 * *", ["01-13", "02-13", "03-13", "04-13"]),
            ("* * fri", ["01-02", "01-09", "01-16", "01-23"]),
            ("13 * fri", ["01-02", "01-09", "01-13", "01-16"]),
            ("13,14 * 5", ["01-02", "01-09", "01-13", "01-14"]),
            ("*/13 * fri", ["02-27", "03-27", "05-01", "08-14"]),
            ("13 * */5", ["02-13", "03-13", "09-13", "11-13"]),
            ("1-31 * fri", ["01-01", "01-02", "01-03", "01-04"]),
        ],
    )
    def test_both_must_match_if_one_begins_with_a_star_else_either(
        self, day_and_weekday: str, found: list[str]
    ) -> None:
        assert days(f"0 0 {day_and_weekday}") == found

    def test_both_must_match_where_a_schedule_says_so(self) -> None:
        assert days("0 0 13 * fri", both_days=True) == ["02-13", "03-13", "11-13", "08-13"]
        assert days("0 0 1-7 * mon", both_days=True) == ["01-05", "02-02", "03-02", "04-06"]
        assert days("0 0 13 * *", both_days=True) == days("0 0 13 * *")

    @pytest.mark.parametrize(
        ("day_and_weekday", "found"),
        [
            ("L * *", ["01-31", "02-28", "03-31", "04-30"]),
            ("l 2 *", ["02-28", "02-28", "02-29", "02-28"]),
            ("15,L * *", ["01-15", "01-31", "02-15", "02-28"]),
            ("LW * *", ["01-30", "02-27", "03-31", "04-30"]),
            ("lw 5 *", ["05-29", "05-31", "05-31", "05-31"]),
            ("* * 5L", ["01-30", "02-27", "03-27", "04-24"]),
            ("* * 0l,7L", ["01-25", "02-22", "03-29", "04-26"]),
            ("* * 1#1", ["01-05", "02-02", "03-02", "04-06"]),
            ("* * mon#5", ["03-30", "06-29", "08-31", "11-30"]),
            ("* * 7#02,0#1", ["01-04", "01-11", "02-01", "02-08"]),
            ("L * 1#1", ["01-05", "01-31", "02-02", "02-28"]),
        ],
    )
    def test_last_and_nth(self, day_and_weekday: str, found: list[str]) -> None:
        assert days(f"0 0 {day_and_weekday}") == found

    def test_rare_ones(self) -> None:
        assert fires("0 0 29 2 *", 2) == ["2028-02-29 00:00", "2032-02-29 00:00"]
        assert fires("0 0 29 2 mon", 3, both_days=True) == [
            "2044-02-29 00:00",
            "2072-02-29 00:00",
            "2112-02-29 00:00",
        ]
        leap_years = next_fires("0 0 29 2 *", NOW, AMSTERDAM, 10**9)
        assert shown(leap_years[-1:], AMSTERDAM) == ["9996-02-29 00:00:00"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("61 * * * *", "^minute: 61 is not within 0-59, in '61 . . . .'.$"),
            ("60 * * * * *", "^second: 60 is not within 0-59, in '60 . . . . .'.$"),
            ("0 24 * * *", "hour: 24 is not within 0-23"),
            ("0 0 0 * *", "day: 0 is not within 1-31"),
            ("0 0 * 13 *", "month: 13 is not within 1-12"),
            ("0 0 * * 8", "weekday: 8 is not within 0-7"),
            ("0 0 * * 1#6", "weekday: 6 is not within 1-5"),
            ("0 0 * * 1#0", "weekday: 0 is not within 1-5"),
            ("5-70 * * * *", "minute: 70 is not within 0-59"),
            ("0 22-6 * * *", "hour: 22-6 runs backwards; say 22-23,0-6 if you mean that"),
            ("0 0 * * fri-sun", "weekday: FRI-SUN runs backwards"),
            ("*/0 * * * *", "minute: a step of 0 leads nowhere"),
            ("0-10/00 * * * *", "minute: a step of 0 leads nowhere"),
            *(
                (f"{field} * * * *", "minute: .* is not understood; it takes .*0-59")
                for field in (
                    *("?", "H", "R", "L", "x", "-5", "+5", "1-", "1-2-3", "*-5", "**", "5*", "1.5"),
                    *("/5", "*/", "*/5/5", "*/-5", "*/x", "*/*", "1,,2", ",1", "1,", "1#1", "1_0"),
                    *("5@", "5-@", "\0", "\x1b[31m", "0x1", "mon", "jan", "1;", "$(id)", "'", "%s"),
                )
            ),
            *(
                (f"0 0 {day} * *", "day: .* is not understood; it takes .*L or LW")
                for day in ("?", "L-3", "15W", "W", "WL", "L/2", "LW/2", "L-LW", "5L", "1#2", "mon")
            ),
            *(
                (f"0 0 * * {day}", "weekday: .* is not understood; it takes .*5L or 1#2")
                for day in ("?", "L", "LW", "friL", "monday", "jan", "1#", "#1", "1-5#2", "1#2/3")
            ),
            ("0 0 * january *", "month: 'JANUARY' is not understood; it takes .*JAN-DEC"),
            ("0 0 * mon *", "month: 'MON' is not understood"),
            ("0 0 * 1L *", "month: '1L' is not understood"),
            ("", "5 fields .* not 0: ''"),
            (" \n", "5 fields .* not 0"),
            ("*", "not 1"),
            ("* * * *", "not 4"),
            ("* * * * * * *", "5 fields .minute, hour, day, month, weekday. or 6 .*, not 7"),
            ("@reboot", "'@reboot' is unknown; there are @yearly, .*@hourly"),
            ("@", "'@' is unknown"),
            ("@every 5m", "'@every 5m' is unknown"),
            ("@daily 1", "'@daily 1' is unknown"),
            ("٣ * * * *", "plain ASCII text, not '.u0663"),
            ("5 * * * *\u00a0", "plain ASCII text"),
            ("* * * * ﹡", "plain ASCII text"),
            ("\ud800 * * * *", "plain ASCII text"),
            ("* " * 101, "at most 200 characters"),
            pytest.param("9" * 10**6, "at most 200 characters", id="a million characters"),
            ("0 0 31 2 *", "^day, month: no such date, it never fires: '0 0 31 2 .'.$"),
            ("0 0 30-31 feb *", "never fires"),
            ("0 0 31 2,4,6,9,11 *", "never fires"),
            (None, "plain ASCII text, not None"),
            (b"* * * * *", "plain ASCII text"),
            (5, "plain ASCII text"),
        ],
    )
    def test_one_line_says_what_is_wrong(self, expression: str, words: str) -> None:
        with pytest.raises(ValueError, match=words) as refusal:
            Cron(expression, "UTC")
        assert str(refusal.value).isprintable()
        assert str(refusal.value).isascii()
        assert len(str(refusal.value)) < 600
        with pytest.raises(ValueError, match=words):
            next_fires(expression, NOW, "UTC", 0)
        with pytest.raises(ValueError, match=words):
            describe(expression)

    def test_what_never_fires_if_both_days_must_match(self) -> None:
        assert fires("0 0 1 * 1#2", 1)
        with pytest.raises(ValueError, match="never fires"):
            fires("0 0 1 * 1#2", both_days=True)

    def test_one_that_falls_into_the_gap_each_year_has_no_next_time(self) -> None:
        assert next_fires("*/30 2 * 3 0L", NOW, AMSTERDAM, 1) == []
        assert next_fires("30 2 * 3 0L", NOW, AMSTERDAM, 1) == [utc("2026-03-29 01:00")]

    @given(st.text(max_size=30) | st.text("0123459*/-,#LW @SUNJAN\t", max_size=30))
    def test_anything_is_read_or_refused(self, text: str) -> None:
        refusal = ""
        try:
            assert all(moment > NOW for moment in next_fires(text, NOW, AMSTERDAM, 2))
        except ValueError as error:
            refusal = str(error)
        assert refusal.isprintable()


class TestZones:
    @pytest.mark.parametrize(
        "name",
        [
            *("", " ", ".", "/", "Mars/Phobos", "europe/amsterdam", "EUROPE/AMSTERDAM", "Europe"),
            *("Europe/Amsterdam ", "Europe/Amsterdam\n", "Europe/Amsterdam\0", "UTC+1", "+01:00"),
            *("../../etc/passwd", "/etc/passwd", "/usr/share/zoneinfo/UTC", "Europe/../UTC"),
            *("localtime", "posixrules", "posix/UTC", "right/UTC", "tzdata.zi", "zone.tab"),
            *("é", "\ud800", "x" * 500),
            pytest.param("x" * 10**6, id="a million characters"),
        ],
    )
    def test_other_names_are_refused_in_one_line(self, name: str) -> None:
        for refused in (zone_info, lambda zone: Cron("* * * * *", zone)):
            with pytest.raises(ValueError, match="is no time zone: say an IANA name") as refusal:
                refused(name)
            assert str(refusal.value).isprintable()
            assert len(str(refusal.value)) < 600

    def test_each_iana_name_is_one(self) -> None:
        for name in available_timezones() - {"localtime"}:
            assert zone_info(name).key == name

    def test_fires_are_in_utc(self) -> None:
        (moment,) = next_fires("0 12 * * *", NOW, "Asia/Kolkata", 1)
        assert moment == utc("2026-01-01 06:30")
        assert moment.tzinfo is UTC

    @pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"])
    def test_local_times_are_those_of_the_zone(self, zone: str) -> None:
        found = next_fires("30 9 * * 1-5", NOW, zone, 300)
        assert {text[11:] for text in shown(found, zone)} == {"09:30:00"}

    def test_offsets_may_have_seconds(self) -> None:
        found = next_fires("0 12 * * *", utc("1880-01-01"), "America/New_York", 1)
        assert found == [utc("1880-01-01 16:56:02")]


class TestAfter:
    def test_strictly_later(self) -> None:
        assert next_fires("0 0 * * *", NOW, "UTC", 1) == [NOW + timedelta(days=1)]
        early = NOW - timedelta(microseconds=1)
        assert next_fires("0 0 * * *", early, "UTC", 1) == [NOW]
        late = NOW + timedelta(microseconds=1)
        assert next_fires("* * * * * *", late, "UTC", 1) == [NOW + timedelta(seconds=1)]

    def test_its_own_zone_makes_no_difference(self) -> None:
        after = utc("2026-10-24 23:00")
        for zone in ("America/New_York", AMSTERDAM, "Australia/Lord_Howe"):
            same = after.astimezone(ZoneInfo(zone))
            assert next_fires("*/15 * * * *", same, AMSTERDAM, 9) == next_fires(
                "*/15 * * * *", after, AMSTERDAM, 9
            )

    def test_it_must_have_a_zone(self) -> None:
        with pytest.raises(ValueError, match="is no moment: it needs a zone"):
            next_fires("* * * * *", NOW.replace(tzinfo=None), "UTC", 1)

    @pytest.mark.parametrize("count", [0, -1])
    def test_none_are_asked_for(self, count: int) -> None:
        assert next_fires("* * * * *", NOW, "UTC", count) == []

    @pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
    def test_the_calendar_has_an_end(self, zone: str) -> None:
        assert len(next_fires("* * * * *", utc("0001-01-01"), zone, 3)) == 3
        assert len(next_fires("* * * * *", utc("9999-12-31 23:50"), zone, 10)) < 10
        assert next_fires("* * * * *", datetime.max.replace(tzinfo=UTC), zone, 3) == []


# Clocks of Amsterdam go from 02:00 to 03:00 on 29 March 2026, from 03:00 to 02:00 on 25 October.
GAP, FOLD = utc("2026-03-28 23:00"), utc("2026-10-24 22:00")


class TestClockChanges:
    @pytest.mark.parametrize(
        ("expression", "found"),
        [
            ("30 2 * * *", ["29 03:00", "30 02:30"]),
            ("0 2 * * *", ["29 03:00", "30 02:00"]),
            ("59 2 * * *", ["29 03:00", "30 02:59"]),
            ("0 3 * * *", ["29 03:00", "30 03:00"]),
            ("0 2,3 * * *", ["29 03:00", "30 02:00"]),
            ("0,30 2 * * *", ["29 03:00", "30 02:00"]),
            ("0-59 2 * * *", ["29 03:00", "30 02:00"]),
            ("30 1-3 * * *", ["29 01:30", "29 03:00", "29 03:30"]),
            ("15 30 2 * * *", ["29 03:00", "30 02:30"]),
            ("* 30 2 * * *", ["29 03:00", "30 02:30"]),
            ("59 1 * * *", ["29 01:59", "30 01:59"]),
            ("30 2 29 3 *", ["29 03:00"]),
            ("30 2 * * 6", ["04 02:30"]),
            ("*/30 2 * * *", ["30 02:00", "30 02:30"]),
            ("30 */2 * * *", ["29 00:30", "29 04:30"]),
            ("0 * * * *", ["29 01:00", "29 03:00", "29 04:00"]),
            ("*,5 2 * * *", ["30 02:00", "30 02:01"]),
            ("@daily", ["30 00:00"]),
        ],
    )
    def test_forward(self, expression: str, found: list[str]) -> None:
        moments = next_fires(expression, GAP, AMSTERDAM, len(found))
        assert [text[8:16] for text in shown(moments, AMSTERDAM)] == found

    @pytest.mark.parametrize(
        ("expression", "found"),
        [
            # 02:00 comes at 00:00 UTC and again at 01:00 UTC.
            ("30 2 * * *", ["25 00:30", "26 01:30"]),
            ("0 2 * * *", ["25 00:00", "26 01:00"]),
            ("0 3 * * *", ["25 02:00", "26 02:00"]),
            ("0,30 2,3 * * *", ["25 00:00", "25 00:30", "25 02:00", "25 02:30"]),
            ("15 30 2 * * *", ["25 00:30", "26 01:30"]),
            ("*/30 2 * * *", ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "26 01:00"]),
            ("0 * * * *", ["24 23:00", "25 00:00", "25 01:00", "25 02:00"]),
            ("0 */2 * * *", ["25 00:00", "25 01:00", "25 03:00"]),
            ("0 30 */2 * * *", ["24 22:30", "25 00:30", "25 01:30", "25 03:30"]),
        ],
    )
    def test_back(self, expression: str, found: list[str]) -> None:
        moments = next_fires(expression, FOLD, AMSTERDAM, len(found))
        assert [text[8:16] for text in shown(moments)] == found

    def test_what_was_made_up_is_over_afterwards(self) -> None:
        for hours in range(24):
            after = utc("2026-03-29 01:00") + timedelta(hours=hours)
            assert next_fires("30 2 * * *", after, AMSTERDAM, 1) == [utc("2026-03-30 00:30")]

    def test_in_the_second_pass_a_fixed_one_is_over(self) -> None:
        for minute in range(0, 61, 10):
            after = utc("2026-10-25 00:30") + timedelta(minutes=minute)
            assert next_fires("30 2 * * *", after, AMSTERDAM, 1) == [utc("2026-10-26 01:30")]

    @pytest.mark.parametrize(
        ("zone", "expression", "after", "found"),
        [
            # Half an hour: 02:00 to 02:30 in October, back to 01:30 in April.
            ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03", ["2026-10-03 15:30"]),
            ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04",
             ["2026-04-04 14:45", "2026-04-05 15:15"]),
            ("Australia/Lord_Howe", "*/15 1 * * *", "2026-04-04 14:29",
             ["2026-04-04 14:30", "2026-04-04 14:45", "2026-04-04 15:00", "2026-04-04 15:15",
              "2026-04-05 14:30"]),
            # Two hours: 01:00 to 03:00, back from 03:00 to 01:00.
            ("Antarctica/Troll", "0,30 1-2 * * *", "2026-03-29",
             ["2026-03-29 01:00", "2026-03-29 23:00"]),
            ("Antarctica/Troll", "30 1 * * *", "2026-10-24 20:00",
             ["2026-10-24 23:30", "2026-10-26 01:30"]),
            # At midnight.
            ("America/Sao_Paulo", "0 0 * * *", "2018-11-03 12:00",
             ["2018-11-04 03:00", "2018-11-05 02:00"]),
            ("America/Sao_Paulo", "30 23 * * *", "2019-02-17",
             ["2019-02-17 01:30", "2019-02-18 02:30"]),
            # Summer time that is the standard, or that stops for Ramadan.
            ("Europe/Dublin", "30 1 * * *", "2026-03-29",
             ["2026-03-29 01:00", "2026-03-30 00:30"]),
            ("Africa/Casablanca", "30 2 * * *", "2025-02-22 12:00",
             ["2025-02-23 01:30", "2025-02-24 02:30"]),
            # Forward, and back a week later.
            ("America/Recife", "0 12 * * *", "2000-10-07",
             ["2000-10-07 15:00", *(f"2000-10-{day:02} 14:00" for day in range(8, 15)),
              "2000-10-15 15:00"]),
            # Three hours and more, as a zone far south and one on the date line did.
            ("Antarctica/Casey", "0 3 * * *", "2009-10-17 12:00", ["2009-10-18 16:00"]),
            ("Antarctica/Casey", "30 0 * * *", "2010-03-04 12:00",
             ["2010-03-04 13:30", "2010-03-04 16:30", "2010-03-05 16:30"]),
            ("Pacific/Apia", "0 12 30 12 *", "2011-12-01", ["2012-12-29 22:00"]),
            ("Pacific/Apia", "0 12 * * *", "2011-12-29 12:00",
             ["2011-12-29 22:00", "2011-12-30 22:00"]),
            # Not a whole number of minutes: 44:30.
            ("Africa/Monrovia", "0 0 7 1 *", "1971-12-31", ["1972-01-07 00:44:30"]),
        ],
    )  # fmt: skip
    def test_other_zones(self, zone: str, expression: str, after: str, found: list[str]) -> None:
        expected = [utc(text) for text in found]
        assert next_fires(expression, utc(after), zone, len(found)) == expected

    def test_a_day_of_fires_at_equal_distance(self) -> None:
        for start in (GAP, FOLD):
            moments = next_fires("*/20 * * * *", start, AMSTERDAM, 100)
            assert {b - a for a, b in pairwise(moments)} == {timedelta(minutes=20)}


class TestOddTimes:
    @pytest.mark.parametrize(
        ("expression", "found"),
        [
            ("30 2 * * *", [("gap", "made up", "03-29 02:30", ["2026-03-29 01:00:00"]),
                            ("fold", "once", "10-25 02:30", ["2026-10-25 00:30:00"])]),
            ("*/30 2 * * *", [("gap", "lost", "03-29 02:00", []),
                              ("fold", "twice", "10-25 02:00",
                               ["2026-10-25 00:00:00", "2026-10-25 00:30:00",
                                "2026-10-25 01:00:00", "2026-10-25 01:30:00"])]),
            ("0 1-4 * * *", [("gap", "made up", "03-29 02:00", ["2026-03-29 01:00:00"]),
                             ("fold", "once", "10-25 02:00", ["2026-10-25 00:00:00"])]),
            ("0 3 * * *", []),
            ("59 1 * * *", []),
            ("30 2 * * 1-6", []),
            ("0 0 * * *", []),
        ],
    )  # fmt: skip
    def test_of_a_year(self, expression: str, found: list[tuple[str, str, str, list[str]]]) -> None:
        odd = odd_times(Cron(expression, AMSTERDAM), NOW)
        assert [
            (time.kind, time.outcome, f"{time.local:%m-%d %H:%M}", shown(list(time.fires)))
            for time in odd
        ] == found

    def test_the_local_times_concerned(self) -> None:
        gap, fold = odd_times(Cron("30 2 * * *", AMSTERDAM), NOW)
        assert (str(gap.begins), str(gap.ends)) == ("2026-03-29 02:00:00", "2026-03-29 03:00:00")
        assert (str(fold.begins), str(fold.ends)) == ("2026-10-25 02:00:00", "2026-10-25 03:00:00")

    def test_later_than_one_moment_and_not_later_than_another(self) -> None:
        cron, change = Cron("30 2 * * *", AMSTERDAM), utc("2026-03-29 01:00")
        second = timedelta(seconds=1)
        assert len(odd_times(cron, change - second, change)) == 1
        assert odd_times(cron, change, change + second) == []
        assert odd_times(cron, change - 2 * second, change - second) == []

    def test_a_day_that_is_left_out(self) -> None:
        (odd,) = odd_times(Cron("0 12 * * *", "Pacific/Apia"), utc("2011-12-01"), utc("2012-01-01"))
        assert (odd.outcome, str(odd.local)) == ("lost", "2011-12-30 12:00:00")

    def test_very_many_are_cut(self) -> None:
        for odd in odd_times(Cron("* * * * * *", AMSTERDAM), NOW):
            assert len(odd.fires) in (0, 100)


class TestInterval:
    def test_they_are_as_far_apart_on_days_of_clock_changes(self) -> None:
        interval = Interval(timedelta(hours=5), GAP.astimezone(ZoneInfo(AMSTERDAM)))
        found = list(islice(interval.fires(GAP), 100))
        assert found == [GAP + timedelta(hours=5) * n for n in range(1, 101)]
        assert all(moment.tzinfo is UTC for moment in found)

    def test_the_anchor_says_which_not_from_when(self) -> None:
        interval = Interval(timedelta(days=14), utc("2030-01-07 06:00"))
        assert next(interval.fires(NOW)) == utc("2026-01-12 06:00")
        assert next(interval.fires(utc("2040-01-01"))) == utc("2040-01-09 06:00")

    def test_strictly_later(self) -> None:
        interval = Interval(timedelta(minutes=1), NOW)
        assert next(interval.fires(NOW)) == NOW + timedelta(minutes=1)
        assert next(interval.fires(NOW - timedelta(microseconds=1))) == NOW

    @pytest.mark.parametrize(
        "every",
        [
            timedelta(),
            -timedelta(hours=1),
            SHORTEST_INTERVAL - timedelta(microseconds=1),
            LONGEST_INTERVAL + timedelta(microseconds=1),
            timedelta.max,
        ],
    )
    def test_out_of_range(self, every: timedelta) -> None:
        with pytest.raises(ValueError, match="from 1 second to 366 days"):
            Interval(every, NOW)

    def test_the_anchor_must_have_a_zone(self) -> None:
        with pytest.raises(ValueError, match="needs a zone"):
            Interval(timedelta(hours=1), NOW.replace(tzinfo=None))

    def test_the_calendar_has_an_end(self) -> None:
        last = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
        assert len(list(Interval(timedelta(hours=5), NOW).fires(last))) in (4, 5)


class TestOnce:
    def test_afterwards_there_is_none(self) -> None:
        once = Once(NOW)
        assert list(once.fires(NOW - timedelta(microseconds=1))) == [NOW]
        assert list(once.fires(NOW)) == []

    def test_it_must_have_a_zone(self) -> None:
        with pytest.raises(ValueError, match="needs a zone"):
            Once(NOW.replace(tzinfo=None))

    @pytest.mark.parametrize(
        ("local", "zone", "moment"),
        [
            ("2026-07-01 12:00", AMSTERDAM, "2026-07-01 10:00"),
            ("2026-03-29 01:59:59", AMSTERDAM, "2026-03-29 00:59:59"),
            ("2026-03-29 02:00", AMSTERDAM, "2026-03-29 01:00"),
            ("2026-03-29 02:59:59.999999", AMSTERDAM, "2026-03-29 01:00"),
            ("2026-03-29 03:00", AMSTERDAM, "2026-03-29 01:00"),
            ("2026-10-25 02:30", AMSTERDAM, "2026-10-25 00:30"),
            ("2026-10-25 03:00", AMSTERDAM, "2026-10-25 02:00"),
            ("2018-11-04 00:00", "America/Sao_Paulo", "2018-11-04 03:00"),
            ("2026-10-04 02:15", "Australia/Lord_Howe", "2026-10-03 15:30"),
            ("2011-12-30 00:00", "Pacific/Apia", "2011-12-30 10:00"),
            ("2011-12-30 23:59", "Pacific/Apia", "2011-12-30 10:00"),
            ("2010-03-05 00:30", "Antarctica/Casey", "2010-03-04 13:30"),
        ],
    )
    def test_local_times(self, local: str, zone: str, moment: str) -> None:
        naive = datetime.fromisoformat(local)
        for fold in (0, 1):
            assert local_moment(naive.replace(fold=fold), zone) == utc(moment)

    def test_what_is_no_local_time(self) -> None:
        with pytest.raises(ValueError, match="it has a zone"):
            local_moment(NOW, AMSTERDAM)
        with pytest.raises(ValueError, match="no time zone"):
            local_moment(NOW.replace(tzinfo=None), "Mars/Phobos")
        last = datetime(9999, 12, 31, 23, tzinfo=UTC).replace(tzinfo=None)
        with pytest.raises(ValueError, match="end of the calendar"):
            local_moment(last, "America/New_York")


class TestLatest:
    @pytest.mark.parametrize(
        "recurrence",
        [
            Cron("*/7 * * * *", AMSTERDAM),
            Cron("30 2 * * *", AMSTERDAM),
            Cron("0 0 29 2 *", AMSTERDAM),
            Interval(timedelta(minutes=7), utc("2027-01-01 00:00:01")),
            Interval(timedelta(days=30), NOW),
            Once(utc("2026-10-25 00:15")),
            Once(FOLD),
            Once(utc("2026-10-26")),
        ],
    )
    def test_it_is_the_last_one_on_the_way(self, recurrence: Recurrence) -> None:
        for hours in range(30):
            until = FOLD + timedelta(hours=hours)
            walked = list(takewhile(until.__ge__, recurrence.fires(FOLD)))
            assert latest(recurrence, FOLD, until) == ([None, *walked][-1], len(walked))
        assert latest(recurrence, FOLD, FOLD - timedelta(days=30)) == (None, 0)

    def test_the_end_belongs_to_it_and_the_beginning_does_not(self) -> None:
        for recurrence in (Cron("0 * * * *", "UTC"), Interval(timedelta(hours=1), NOW), Once(NOW)):
            second = timedelta(seconds=1)
            assert latest(recurrence, NOW - second, NOW) == (NOW, 1)
            assert latest(recurrence, NOW, NOW + second) == (None, 0)

    @pytest.mark.parametrize(
        ("expression", "until", "last"),
        [
            ("* * * * * *", "2027-01-01 00:00:00.5", "2027-01-01"),
            ("* * * * * *", "2026-12-31 23:59:59.999", "2026-12-31 23:59:59"),
            ("* * * * * *", "2026-01-02 03:46:41", "2026-01-02 03:46:41"),
            ("* * * 1-3 1 *", "2026-12-31", "2026-01-03 23:59:59"),
            ("* 1 * 1 *", "2099-12-31", "2099-01-31 01:59"),
        ],
    )
    def test_it_is_right_where_counting_ends(self, expression: str, until: str, last: str) -> None:
        cron = Cron(expression, "UTC")
        assert latest(cron, NOW, utc(until)) == (utc(last), COUNT_LIMIT)

    def test_of_an_interval_all_are_counted(self) -> None:
        until = NOW + timedelta(days=365)
        assert latest(Interval(SHORTEST_INTERVAL, NOW), NOW, until) == (until, 365 * 86_400)


class TestWords:
    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("*/5 * * * *", "Every fifth minute of every hour"),
            ("*/22 * * * *", "Every 22nd minute of every hour"),
            ("*/12 * * * *", "Every 12th minute of every hour"),
            ("0 6 21 * *", "At 06:00 on the 21st day of every month"),
            ("0 6 11,12,13 * *", "At 06:00 on the 11th, the 12th, and the 13th day of month"),
            ("5-5/4 * * * *", "At minute 5 of every hour"),
            ("*/60 * * * *", "At the start of every hour"),
            ("@weekly", "At 00:00 on Sunday"),
            ("0 0 1-31 * 1", "At 00:00 every day"),
            ("0 0 13 * 0-6", "At 00:00 every day"),
            ("0 0 13 * 5", "At 00:00 on the 13th day of month and on Friday"),
            ("15 30 6 * * mon-fri", "At 06:30:15 on Monday through Friday"),
            ("0 6 L * *", "At 06:00 on the last day of every month"),
            ("0 6 * * 1#1", "At 06:00 on the first Monday of the month"),
        ],
    )
    def test_say_what_happens(self, expression: str, words: str) -> None:
        assert describe(expression) == words

    def test_both_days(self) -> None:
        assert describe("0 0 13 * 5", both_days=True).endswith("if it's on Friday")


class TestValues:
    def test_recurrences_are_values(self) -> None:
        assert Cron("* * * * *", "UTC") == Cron("* * * * *", "UTC") != Cron("0 * * * *", "UTC")
        assert len({Cron("* * * * *", "UTC"), Cron("* * * * *", "UTC"), Once(NOW)}) == 2


def examples() -> list[str]:
    """What stands as code in the first column of the tables of docs/schedules.md."""
    return re.findall(r"^\| `([^`]+)` ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


class TestPage:
    @pytest.mark.parametrize("expression", examples())
    def test_each_expression_fires(self, expression: str) -> None:
        assert next_fires(expression, NOW, AMSTERDAM, 1)
        assert describe(expression)


@pytest.mark.parametrize(
    ("every", "words"),
    [
        (timedelta(seconds=1), "every 1 s"),
        (timedelta(minutes=90), "every 1 h 30 min"),
        (timedelta(days=1), "every 1 day"),
        (timedelta(days=14, seconds=5), "every 14 days 5 s"),
    ],
)
def test_an_interval_in_words(every: timedelta, words: str) -> None:
    assert describe_interval(every) == words
