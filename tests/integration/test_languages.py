"""Who speaks which language: pages that of their reader, what is stored or printed English."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

from jobqueue import languages, refusals, requests
from jobqueue.admin import display, schedule_words
from jobqueue.alarms import mails
from jobqueue.models import Alarm, Execution, Schedule, Source
from tests.builders import a_job, a_schedule, a_waiting, an_ended
from tests.terminal import call
from tests.users import a_client

pytestmark = pytest.mark.django_db
GERMAN, DUTCH = {"Accept-Language": "de-AT,de;q=0.9"}, {"Accept-Language": "nl"}


@pytest.fixture(autouse=True)
def leave_no_language() -> Iterator[None]:
    """A request leaves its language to the thread."""
    with translation.override("en"):
        yield


def desk() -> str:
    return reverse("admin:jobqueue_execution_desk")


class TestAPageSpeaksTheLanguageOfItsReader:
    def test_that_of_the_browser(self, admin_client: Client) -> None:
        assert (
            "Nichts läuft, nichts wartet."
            in admin_client.get(desk(), headers=GERMAN).content.decode()
        )
        assert "Er draait niets" in admin_client.get(desk(), headers=DUTCH).content.decode()

    def test_english_where_the_browser_prefers_what_is_not_there(
        self, admin_client: Client
    ) -> None:
        answer = admin_client.get(desk(), headers={"Accept-Language": "fi"})
        assert "Nothing runs, nothing waits." in answer.content.decode()

    def test_else_that_of_the_site(self, admin_client: Client, settings: Settings) -> None:
        settings.LANGUAGE_CODE = "nl"
        assert "Er draait niets" in admin_client.get(desk()).content.decode()

    def test_a_refusal_too(self) -> None:
        client = a_client("view_job", "add_job", "change_job")
        wrong = {"name": "x", "argv": "'open", "queue": "Groß", "codes": "exit-status"}
        answer = client.post(reverse("admin:jobqueue_job_add"), wrong, headers=GERMAN)
        page = answer.content.decode()
        assert "Die Befehlszeile ist nicht lesbar: ein schließendes Anführungszeichen" in page
        assert "Der Name einer Warteschlange hat 1 bis 64 der Zeichen" in page

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("retry_on", "sometimes", "&#x27;sometimes&#x27; ist kein Ergebnis"),
            ("ping_url", "ftp://x", "Eine Webadresse beginnt mit"),
            ("ping_url", "https://10.1.2.3/", "10.1.2.3 ist in einem privaten Netz"),
        ],
    )
    def test_a_refusal_of_retries_and_pings(self, name: str, value: str, words: str) -> None:
        client = a_client("view_job", "add_job", "change_job")
        answer = client.post(reverse("admin:jobqueue_job_add"), {name: value}, headers=GERMAN)
        assert words in answer.text

    def test_the_live_desk_is_not_that_of_another_language(self, admin_client: Client) -> None:
        live = reverse("admin:jobqueue_execution_desk_live")
        tag = admin_client.get(live, headers=GERMAN)["ETag"]
        answer = admin_client.get(live, headers={"If-None-Match": tag, **DUTCH})
        assert answer.status_code == 200


class TestWhatIsStoredIsEnglish:
    def test_the_log_of_the_admin(self) -> None:
        job = a_job()
        client = a_client("view_job", "run_job")
        client.post(reverse("admin:jobqueue_job_run", args=[job.pk]), headers=GERMAN)
        number = Execution.objects.get().pk
        assert LogEntry.objects.get().get_change_message() == f"Run: execution {number}."

    def test_reasons(self) -> None:
        waiting = a_waiting()
        client = a_client("view_execution", "stop_execution")
        url = reverse("admin:jobqueue_execution_cancel", args=[waiting.pk])
        client.post(url, {"confirmed": "yes"}, headers=GERMAN)
        assert Execution.objects.get().reason.startswith("cancelled by ")

    @translation.override("de")
    def test_mails(self) -> None:
        ended = an_ended(job=a_job(), state="failed", source=Source.SCHEDULE, reason="why")
        mail = mails.of_run(ended, Alarm(job=ended.job, is_bad=True))
        assert "Asked by:    schedule" in mail.text

    @translation.override("de")
    def test_the_words_of_a_refusal(self) -> None:
        with pytest.raises(requests.NotQueued) as caught:
            requests.queue_name("Not a name")
        assert str(caught.value).startswith("A queue's name has 1 to 64")
        assert languages.translated(caught.value).startswith("Der Name einer Warteschlange")


class TestCommandsSpeakEnglish:
    @translation.override("de")
    def test_whatever_the_language_of_the_site(self) -> None:
        done = call("jobs", "create", "x", "--queue", "Groß", "--", "true")
        assert "A queue's name has 1 to 64" in done.err

    @translation.override("nl")
    def test_where_a_note_is_refused(self) -> None:
        failed = an_ended(state="failed")
        done = call("queue", "ack", str(failed.pk), "--note", "x" * 1001)
        assert "The note has 1001 characters" in done.err


class TestRefusals:
    def test_say_their_parts_in_english(self) -> None:
        inner = refusals.Refusal("%(n)s is too many", n=3)
        parts = (refusals.Phrase("day"), refusals.Phrase("month"))
        outer = refusals.Refusal("%(fields)s: %(why)s.", fields=parts, why=inner)
        assert str(outer) == "day, month: 3 is too many."

    @translation.override("nl")
    def test_are_translated_with_their_parts(self) -> None:
        wrong = Schedule(expression="61 * * * *", timezone="UTC", kind="cron")
        with pytest.raises(ValueError, match="is not within") as caught:
            wrong.recurrence()
        assert languages.translated(caught.value).startswith("minuut: 61 ligt niet in 0-59")

    def test_of_a_hostile_text_are_taken_as_they_are(self) -> None:
        hostile = "100 % (of) %(what)s {}"
        assert str(refusals.Refusal(hostile)) == hostile
        assert str(refusals.Refusal("not %(value)s", value=hostile)) == f"not {hostile}"
        assert str(requests.NotQueued.like(ValueError(hostile))) == hostile
        assert languages.translated(ValueError(hostile)) == hostile

    def test_become_one_of_another_class_with_all_their_parts(self) -> None:
        first = refusals.Refusal("%(n)s is too many", n=3)
        assert requests.NotQueued.like(first).phrase == first.phrase


class TestNumbersAndTimes:
    @pytest.mark.parametrize(("language", "words"), [("en", "12.3 s"), ("de", "12,3 s")])
    def test_of_a_duration(self, language: str, words: str) -> None:
        with translation.override(language):
            assert display.duration(timedelta(seconds=12.34)) == words

    @pytest.mark.parametrize(
        ("language", "words"), [("de", "in 3 h 20 min"), ("nl", "over 3 u 20 min")]
    )
    def test_of_a_distance(self, language: str, words: str) -> None:
        with translation.override(language):
            assert display.distance(timedelta(hours=3, minutes=20)) == words


class TestTimesOfASchedule:
    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("14 6 * * *", "Täglich, um 06:14"),
            ("0 6,12 * * 1-5", "Montag-Freitag, um 06:00, 12:00"),
            ("*/10 * * * *", "Jede 10. Minute"),
            ("5 * * * *", "Stündlich, Minute 5"),
            ("*/10 6-18 * * sat,sun", "Samstag, Sonntag, Stunde 6-18, jede 10. Minute"),
            ("0 3 1,15 * *", "Tag 1, 15 des Monats, um 03:00"),
            ("0 3 L 1,7 *", "Letzter Tag des Monats (Januar, Juli), um 03:00"),
            ("0 3 * * 5L", "Letzter Freitag des Monats, um 03:00"),
            ("0 3 * * 1#2", "2. Montag des Monats, um 03:00"),
            ("0 3 13 * 5", "Tag 13 des Monats und Freitag, um 03:00"),
            ("0 3 * 2 *", "Täglich (Februar), um 03:00"),
            ("30 0 3 * * *", "Täglich, um 03:00:30"),
            ("*/5 * * * * *", "Jede Minute, jede 5. Sekunde"),
            ("* * * * *", "Jede Minute"),
        ],
    )
    @translation.override("de")
    def test_cron(self, expression: str, words: str) -> None:
        schedule = Schedule(expression=expression, timezone="UTC")
        assert schedule_words.of(schedule) == words

    @translation.override("de")
    def test_day_and_weekday(self) -> None:
        schedule = Schedule(expression="0 3 13 * 5", timezone="UTC", both_days=True)
        assert schedule_words.of(schedule) == "Tag 13 des Monats, falls es Freitag ist, um 03:00"

    @pytest.mark.parametrize(
        ("interval", "words"),
        [
            (timedelta(days=14), "Alle 14 Tage"),
            (timedelta(days=1), "Alle 24 h"),
            (timedelta(hours=1, minutes=30), "Alle 1 h 30 min"),
        ],
    )
    @translation.override("de")
    def test_interval(self, interval: timedelta, words: str) -> None:
        schedule = Schedule(kind="interval", interval=interval, timezone="UTC")
        assert schedule_words.of(schedule) == words

    @translation.override("de")
    def test_once(self) -> None:
        moment = datetime(2026, 12, 1, 6, 14, tzinfo=UTC)
        schedule = Schedule(kind="once", once_at=moment, timezone="Europe/Berlin")
        assert schedule_words.of(schedule) == "Einmal am Di, 1. Dez 2026, 07:14:00"

    @translation.override("de")
    def test_what_is_wrong(self) -> None:
        schedule = Schedule(expression="x", timezone="UTC")
        assert schedule_words.of(schedule).startswith("Ein Ausdruck hat 5 Felder")

    def test_english_is_that_of_the_commands(self) -> None:
        schedule = a_schedule(expression="14 6 * * *")
        assert schedule_words.of(schedule) == schedule.in_words() == "At 06:14 every day"
