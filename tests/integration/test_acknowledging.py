"""Acknowledging runs that went wrong: who may, who sees it, and what becomes of the alarm."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobqueue import api, queue
from jobqueue.alarms import judging
from jobqueue.desk import bad_ends
from jobqueue.models import Acknowledgement, Alarm, Execution, Job, State
from jobqueue.models.execution import BAD_ENDS
from tests.builders import a_cluster, a_job, a_run, a_waiting, an_end, an_ended
from tests.terminal import call
from tests.users import a_client, noted, told

pytestmark = [pytest.mark.database, pytest.mark.django_db]
LIST = "/admin/jobqueue/execution/"
DESK = f"{LIST}desk/"
HOSTILE = "<script>x</script>\"'\x1b[31m"


def page(execution: Execution, name: str = "change") -> str:
    return f"{LIST}{execution.pk}/{name}/"


def a_failure(job: Job | None = None, **over: Any) -> Execution:
    """A run that failed and was judged."""
    run = a_run(job)
    queue.finish(run, an_end(**{"state": State.FAILED, "reason": "why", "return_code": 1, **over}))
    judging.judge(timezone.now())
    return run


def anna(*permissions: str) -> Client:
    return a_client("view_execution", "acknowledge_execution", *permissions, username="anna")


def acknowledged(client: Client, execution: Execution, note: str = "") -> Any:
    form = {"confirmed": "yes", "note": note}
    return client.post(page(execution, "acknowledge"), form)


class TestWhat:
    @pytest.mark.parametrize("state", State.values)
    def test_only_what_went_wrong(self, state: str) -> None:
        row = an_ended(state=state)
        assert api.acknowledge(row, "anna", "x") is (state in BAD_ENDS)
        assert Acknowledgement.objects.count() == (state in BAD_ENDS)

    def test_the_last_one_who_says_so_is_on_it(self) -> None:
        row = an_ended(state=State.FAILED)
        api.acknowledge(row, "anna", "x")
        api.acknowledge(row, "bert", "y")
        found = Acknowledgement.objects.get()
        assert (found.acknowledged_by, found.note) == ("bert", "y")

    def test_a_note_is_one_line(self) -> None:
        row = an_ended(state=State.FAILED)
        api.acknowledge(row, "anna", " two\r\nlines\t ")
        assert Acknowledgement.objects.get().note == "two lines"

    @pytest.mark.parametrize(
        ("note", "why"),
        [("x" * 1001, "has 1001 characters"), ("a\0b", "no text"), ("\ud800", "no text")],
    )
    def test_a_note_that_cannot_be_stored_is_refused(self, note: str, why: str) -> None:
        row = an_ended(state=State.FAILED)
        with pytest.raises(ValueError, match=why):
            api.acknowledge(row, "anna", note)
        assert not Acknowledgement.objects.exists()

    def test_the_longest_note(self) -> None:
        row = an_ended(state=State.FAILED)
        assert api.acknowledge(row, "anna", "ä" * 1000)

    def test_it_goes_with_its_execution(self) -> None:
        row = an_ended(state=State.FAILED)
        api.acknowledge(row, "anna")
        row.delete()
        assert not Acknowledgement.objects.exists()


class TestAlarm:
    def test_of_its_job_is_acknowledged_as_well(self) -> None:
        run = a_failure(job := a_job())
        api.acknowledge(run, "anna", "the partner is told")
        alarm = Alarm.objects.get(job=job)
        assert (alarm.acknowledged_by, alarm.note) == ("anna", "the partner is told")
        assert api.withdraw_acknowledgement(run, "bert")
        alarm.refresh_from_db()
        assert (alarm.acknowledged_by, alarm.acknowledged_at, alarm.note) == ("", None, "")

    def test_one_that_is_good_again_is_left_alone(self) -> None:
        run = a_failure(job := a_job())
        a_failure(job, state=State.SUCCEEDED, return_code=0)
        api.acknowledge(run, "anna")
        assert Alarm.objects.get(job=job).acknowledged_at is None

    def test_that_is_bad_for_another_reason_is_left_alone(self) -> None:
        old = an_ended(job=(job := a_job()), state=State.FAILED)
        a_failure(job)
        api.acknowledge(old, "anna")
        assert Alarm.objects.get(job=job).acknowledged_at is None

    def test_what_another_one_said_of_it_stays(self) -> None:
        run = a_failure(job := a_job())
        api.acknowledge(run, "anna")
        judging.acknowledge(Alarm.objects.get(job=job), "bert", "me", timezone.now())
        api.withdraw_acknowledgement(run, "anna")
        assert Alarm.objects.get(job=job).acknowledged_by == "bert"


class TestPage:
    def test_asks_for_a_note_and_shows_it(self) -> None:
        run, client = a_failure(), anna()
        assert page(run, "acknowledge") in client.get(page(run)).text
        assert 'name="note"' in client.get(page(run, "acknowledge")).text
        assert not Acknowledgement.objects.exists()
        answer = acknowledged(client, run, HOSTILE)
        assert f"#{run.pk}</a> is acknowledged." in told(answer)
        for url in (page(run), LIST, DESK):
            text = client.get(url).text
            assert "anna is on it since" in text, url
            assert "&lt;script&gt;x&lt;/script&gt;" in text, url
            assert "<script>x" not in text
            assert "\x1b" not in text
        assert noted()[0][0] == "anna"
        assert noted()[0][1].startswith("Acknowledged. <script>")

    def test_it_can_be_taken_back(self) -> None:
        run, client = a_failure(), anna()
        acknowledged(client, run)
        assert page(run, "withdraw") in client.get(page(run)).text
        client.get(page(run, "withdraw"))
        assert Acknowledgement.objects.exists()
        answer = client.post(page(run, "withdraw"))
        assert "isn't acknowledged any more" in told(answer)
        assert not Acknowledgement.objects.exists()
        assert page(run, "withdraw") not in client.get(page(run)).text
        assert noted()[-1] == ("anna", "Acknowledgement taken back.")

    def test_a_note_that_is_too_long_says_so(self) -> None:
        run = a_failure()
        answer = acknowledged(anna(), run, "x" * 1001)
        assert "at most 1000 characters (it has 1001)" in answer.text
        assert not Acknowledgement.objects.exists()

    @pytest.mark.parametrize("name", ["acknowledge", "withdraw"])
    def test_takes_the_permission_and_a_token(self, name: str) -> None:
        run = a_failure()
        api.acknowledge(run, "bert")
        others = a_client("view_execution", "run_job", "stop_execution", "acknowledge_alarm")
        assert page(run, name) not in others.get(page(run)).text
        assert others.post(page(run, name), {"confirmed": "yes"}).status_code == 403
        assert a_client("acknowledge_execution").post(page(run, name)).status_code == 403
        forged = a_client(is_superuser=True, enforce_csrf_checks=True)
        assert forged.post(page(run, name), {"confirmed": "yes"}).status_code == 403
        assert Acknowledgement.objects.get().acknowledged_by == "bert"

    def test_nothing_is_offered_where_nothing_went_wrong(self) -> None:
        client = anna()
        for row in (a_waiting(), an_ended(), an_ended(state=State.STOPPED)):
            assert page(row, "acknowledge") not in client.get(page(row)).text
            assert "where nothing has gone wrong" in told(acknowledged(client, row))
        assert not Acknowledgement.objects.exists()


class TestAction:
    def chosen(self, client: Client, *rows: Execution, **form: Any) -> Any:
        pks = [str(row.pk) for row in rows]
        return client.post(LIST, {"action": "acknowledge", "_selected_action": pks, **form})

    def test_asks_once_for_several(self) -> None:
        good, *wrong = an_ended(), a_failure(), a_failure()
        client = anna()
        asked = self.chosen(client, good, *wrong).text
        assert 'name="note"' in asked
        assert f'value="{good.pk}"' not in asked
        answer = self.chosen(client, *wrong, confirmed="yes", note="both")
        assert "2 executions are acknowledged" in told(answer)
        assert set(Acknowledgement.objects.values_list("execution", "note")) == {
            (row.pk, "both") for row in wrong
        }

    def test_of_all_only_those_that_went_wrong(self) -> None:
        an_ended()
        run = a_failure()
        form = {"confirmed": "yes", "note": "", "select_across": "1", "up_to": str(run.pk)}
        self.chosen(anna(), run, **form)
        assert Acknowledgement.objects.get().execution == run

    def test_says_so_where_none_went_wrong(self) -> None:
        assert "None of them has gone wrong" in told(self.chosen(anna(), an_ended()))

    def test_takes_the_permission(self) -> None:
        run, client = a_failure(), a_client("view_execution", "stop_execution")
        self.chosen(client, run, confirmed="yes", note="")
        assert not Acknowledgement.objects.exists()


class TestDesk:
    def test_counts_only_what_nobody_is_on(self) -> None:
        first, second = a_failure(a_job()), a_failure(a_job())
        api.acknowledge(second, "anna", "I see to it")
        lately = bad_ends.lately(timezone.now())
        assert [bad.pk for bad in lately.found] == [first.pk, second.pk]
        assert lately.wrong == 1
        text = anna().get(DESK).text
        assert "1 went wrong." in text
        assert text.index(page(first)) < text.index("Somebody is on it") < text.index(page(second))
        assert page(first, "acknowledge") in text
        assert page(second, "acknowledge") not in text

    def test_is_calm_when_somebody_is_on_all(self) -> None:
        a_cluster()
        api.acknowledge(a_failure(), "anna")
        text = anna().get(DESK).text
        assert "Somebody is on what went wrong." in text
        assert "All is well." not in text

    def test_a_new_failure_of_the_same_is_open_again(self) -> None:
        api.acknowledge(a_failure(job := a_job()), "anna")
        a_failure(job)
        assert "1 went wrong." in anna().get(DESK).text


class TestCommand:
    def test_ack_and_take_back(self) -> None:
        run = a_failure()
        done = call("queue", "ack", str(run.pk), "--note", "ticket\x1b 4711")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"Acknowledged: execution {run.pk} (")
        assert "is on it: ticket\\x1b 4711\n" in call("queue", "list").out
        assert '"note": "ticket\\u001b 4711"' in call("queue", "list", "--json").out
        assert call("queue", "ack", str(run.pk), "--withdraw").out.startswith("Taken back: ")
        assert not Acknowledgement.objects.exists()

    def test_what_cannot_be_done_has_its_line(self) -> None:
        good, bad = an_ended(), a_failure()
        done = call("queue", "ack", str(good.pk), str(bad.pk), "99999", "x")
        assert done.code == 1
        assert f"execution {good.pk} (" in done.err
        assert "it has not gone wrong" in done.err
        assert "There is no execution 99999." in done.err
        assert Acknowledgement.objects.get().execution == bad
        done = call("queue", "ack", str(good.pk), "--withdraw")
        assert (done.code, "it isn't acknowledged" in done.err) == (1, True)

    def test_a_note_that_is_too_long_is_refused(self) -> None:
        done = call("queue", "ack", str(a_failure().pk), "--note", "x" * 1001)
        assert (done.code, done.out) == (1, "")
        assert done.err.count("\n") == 1
        assert "--note: The note has 1001 characters" in done.err
