"""runner's schedule.tsv: its columns, and the times that they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobqueue import recurrence, runner
from jobqueue.definitions import Contents, Definition

ZONE = "Europe/Amsterdam"
ROW = dict(
    zip(
        runner.COLUMNS,
        ["7", "report", "", "python", "/runner/jobs/7/job.py", "*", "*", "8", "0", "0", "", "Y"],
        strict=True,
    )
)


def text(*rows: dict[str, str], header: bool = True) -> str:
    lines = [list(runner.COLUMNS)] if header else []
    lines += [list({**ROW, **row}.values()) for row in rows]
    return "".join("\t".join(line) + "\n" for line in lines)


def read(data: str | bytes) -> Contents:
    return runner.read(data if isinstance(data, bytes) else data.encode(), zone=ZONE)


def row(**over: str) -> Definition:
    contents = read(text(over))
    assert not contents.refused
    [definition] = contents.definitions
    return definition


def test_a_row() -> None:
    found = row(DESCRIPTION="Sales", PARAMETERS='--day "two words"', STATUS="N")
    assert (found.line, found.name, found.description) == (2, "report", "Sales")
    assert found.argv == ["/runner/jobs/7/job.py", "--day", "two words"]
    assert (found.environment, found.expression, found.zone) == ("python", "0 8 * * *", ZONE)
    assert (found.enabled, found.both_days) == (False, False)


def test_without_a_name_or_an_environment() -> None:
    found = row(NAME="", ENVIRONMENT="")
    assert (found.name, found.environment) == ("job.py", "python")


class TestTimes:
    @pytest.mark.parametrize(
        ("over", "expression"),
        [
            ({"MONTH_DAY": "1"}, "0 8 1 * *"),
            ({"WEEK_DAY": "1"}, "0 8 * * 1"),
            ({"HOUR": "/1"}, "0 * * * *"),
            ({"HOUR": "*", "MINUTE": "/5"}, "*/5 * * * *"),
            ({"WEEK_DAY": "1-5"}, "0 8 * * 1-5"),
            ({"MONTH_DAY": "1,11,21"}, "0 8 1,11,21 * *"),
            ({"MONTH_DAY": "/5"}, "0 8 5,10,15,20,25,30 * *"),
            ({"WEEK_DAY": "/2"}, "0 8 * * 2,4,6"),
            ({"HOUR": "/30"}, "0 0 * * *"),
            ({"SECOND": "30"}, "30 0 8 * * *"),
            ({"SECOND": "/20", "MINUTE": "", "HOUR": ""}, "*/20 * * * * *"),
            ({"HOUR": " 1 , 3-5 "}, "0 1,3-5 * * *"),
        ],
    )
    def test_as_the_readme_says(self, over: dict[str, str], expression: str) -> None:
        assert row(**over).expression == expression

    def test_a_week_begins_on_monday(self) -> None:
        found = row(WEEK_DAY="7")
        [sunday] = recurrence.next_fires(
            found.expression, datetime(2026, 1, 1, tzinfo=UTC), "UTC", 1
        )
        assert sunday.isoweekday() == 7

    def test_both_days_must_match(self) -> None:
        found = row(MONTH_DAY="1-7", WEEK_DAY="1")
        assert found.both_days
        after = datetime(2026, 1, 1, tzinfo=UTC)
        fires = recurrence.next_fires(found.expression, after, "UTC", 12, both_days=True)
        assert all(fire.isoweekday() == 1 and fire.day <= 7 for fire in fires)

    def test_every_second_is_pointed_out(self) -> None:
        found = row(HOUR="", MINUTE="*", SECOND="")
        assert (found.expression, found.notes) == ("* * * * * *", ("It runs every second.",))
        after = datetime(2026, 1, 1, tzinfo=UTC)
        one, two = recurrence.next_fires(found.expression, after, "UTC", 2)
        assert two - one == timedelta(seconds=1)

    @pytest.mark.parametrize(
        ("over", "why"),
        [
            ({"HOUR": "24"}, "HOUR: 24 is not within 0-23"),
            ({"WEEK_DAY": "0"}, "WEEK_DAY: 0 is not within 1-7"),
            ({"WEEK_DAY": "MON"}, "WEEK_DAY takes"),
            ({"MINUTE": "*/5"}, "MINUTE takes"),
            ({"MINUTE": "/0"}, "MINUTE: no value"),
            ({"MONTH_DAY": "/40"}, "MONTH_DAY: no value"),
            ({"HOUR": "5-3"}, "runs backwards"),
            ({"HOUR": "1,,2"}, "HOUR takes"),
            ({"HOUR": "٣"}, "HOUR takes"),
        ],
    )
    def test_refused(self, over: dict[str, str], why: str) -> None:
        [refused] = read(text(over)).refused
        assert (refused.line, why in refused.text) == (2, True)


class TestRows:
    @pytest.mark.parametrize(
        ("over", "why"),
        [
            ({"ID": "x"}, "no number"),
            ({"STATUS": "maybe"}, "Y or N"),
            ({"FILE": ""}, "no FILE"),
            ({"FILE": "C:\\runner\\jobs\\7\\job.py"}, "path of Windows"),
            ({"PARAMETERS": "'open"}, "can't be read"),
        ],
    )
    def test_refused(self, over: dict[str, str], why: str) -> None:
        [refused] = read(text(over)).refused
        assert why in refused.text

    def test_an_id_is_there_once(self) -> None:
        contents = read(text({}, {"NAME": "other", "HOUR": "9"}))
        assert [d.line for d in contents.definitions] == [2]
        assert [r.text for r in contents.refused] == ["The ID '7' is that of line 2 as well."]

    def test_blanks_where_tabs_should_be(self) -> None:
        [refused] = read(text().replace("\t", "   ") + "\n").refused
        assert refused.text.startswith("It has 1 column, not 12, with tabs between; there are bl")

    def test_without_a_header_and_with_empty_lines(self) -> None:
        assert len(read("\n" + text({}, header=False) + "\n\n").definitions) == 1

    def test_of_other_editors(self) -> None:
        data = b"\xef\xbb\xbf" + text({"NAME": "Grüße"}).replace("\n", "\r\n").encode()
        [found] = read(data).definitions
        assert (found.name, found.enabled) == ("Grüße", True)

    def test_latin_1(self) -> None:
        [refused] = read(text({"NAME": "Grüße"}).encode("latin-1")).refused
        assert (refused.line, "iconv" in refused.text) == (2, True)


class TestEnvironments:
    CONFIG = "[ENVIRONMENT]\npython = python3\njar = java -jar\nvenv = C:\\my venv\\python.exe\n"

    def test_what_runs_them(self) -> None:
        found = runner.environments(["venv", "jar", "Python", "perl"], self.CONFIG)
        assert found == {
            "Python": ["python3"],
            "jar": ["java", "-jar"],
            "perl": ["perl"],
            "venv": ["C:\\my venv\\python.exe"],
        }

    def test_no_configuration(self) -> None:
        assert runner.environments(["python"], None) == {"python": ["python"]}

    def test_no_ini_file(self) -> None:
        with pytest.raises(ValueError, match="no section headers"):
            runner.environments(["python"], "a = b")
