"""Alarms: what the ends of runs do to them, who is told what, and that no end gets lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobqueue import queue
from jobqueue.alarms import courier, judging, outbox, service, telling
from jobqueue.ends import end_of
from jobqueue.executor import Outcome
from jobqueue.models import (
    Alarm,
    Execution,
    Fire,
    FireOutcome,
    Job,
    Message,
    Notify,
    Schedule,
    State,
)
from tests.builders import a_cluster, a_job, a_request, a_run, a_schedule, a_waiting, an_end

pytestmark = [pytest.mark.database, pytest.mark.django_db]
NOW = timezone.now()


@pytest.fixture(autouse=True)
def site(settings: Settings) -> None:
    settings.MANAGERS = ["managers@example.com"]
    told = {
        "SITE_URL": "https://edi.example.com/",
        "QUEUE_RECIPIENTS": {"etl": ["etl@example.com"]},
    }
    settings.JOBQUEUE = {**settings.JOBQUEUE, "HOST": "edi-1", **told}


def ends(job: Job, state: str = State.FAILED, **over: Any) -> Execution:
    """A run of the job that ends so: the one that waits, or a new one."""
    codes = {"return_code": 0} if state == State.SUCCEEDED else {"return_code": 1, "reason": "why"}
    run = queue.claim(job.queue) or a_run(job)
    assert queue.finish(run, an_end(**{"state": state, **codes, **over}))
    return run


def retried_job(**over: Any) -> Job:
    return a_job(name="Engine", max_retries=1, retry_delay=timedelta(0), **over)


def tried_again(job: Job) -> None:
    """A run of the job fails; its retry waits."""
    run = a_run(job)
    queue.finish(run, end_of(run, Outcome(return_code=1)))


def judged(now: datetime = NOW) -> list[Message]:
    """What is told of what has ended; all mails so far."""
    judging.judge(now)
    telling.tell(now)
    return list(Message.objects.order_by("pk"))


def subjects(messages: list[Message]) -> list[str]:
    return [message.subject for message in messages]


def later(**over: float) -> datetime:
    return NOW + timedelta(**over)


class TestEnds:
    def test_each_is_judged_once(self) -> None:
        job = a_job(name="Engine")
        ends(job)
        ends(job)
        assert Execution.objects.filter(unjudged=job.pk).count() == 2
        [message] = judged()
        judged()
        assert not Execution.objects.filter(unjudged__isnull=False).exists()
        assert Message.objects.get() == message
        alarm = Alarm.objects.get(job=job)
        assert (alarm.is_bad, alarm.failures, alarm.told_bad) == (True, 2, True)

    def test_what_follows_an_end_is_there_or_is_still_to_be_done(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed in the middle of it, all of it is done again."""
        job = a_job()
        ends(job)

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as killed:
            killed.setattr(judging, "store", dies)
            with pytest.raises(KeyboardInterrupt):
                judging.judge(NOW)
        assert Execution.objects.filter(unjudged=job.pk).count() == 1
        assert len(judged()) == 1

    def test_bare_commands_have_no_alarm(self) -> None:
        run = a_run()
        queue.finish(run, an_end(state=State.FAILED))
        assert not any(courier.to_do(NOW))

    def test_those_of_a_deleted_job_are_passed_over(self) -> None:
        job = a_job()
        ends(job)
        job.delete()
        assert not judged()
        assert not any(courier.to_do(NOW))

    def test_what_is_queued_again_says_nothing_yet(self) -> None:
        job = a_job()
        ends(job, State.LOST, again_after=timedelta(0))
        assert Execution.objects.filter(unjudged__isnull=False).count() == 1  # not the new one
        assert not judged()

    def test_of_retries_only_the_last_one_says_something(self) -> None:
        job = retried_job()
        tried_again(job)
        assert not judged()
        ends(job)
        [message] = judged()
        assert message.subject == "[edi-1 default] Engine failed after 2 attempts: why"
        assert "Attempt:     2 of 2\n" in message.text

    def test_a_retry_that_ends_well_is_no_news(self) -> None:
        job = retried_job()
        tried_again(job)
        ends(job, State.SUCCEEDED)
        assert not judged()
        alarm = Alarm.objects.get(job=job)
        assert (alarm.is_bad, alarm.failures) == (False, 0)

    def test_the_first_failure_says_something_where_that_is_asked_for(self) -> None:
        job = retried_job(alarm_at_first_failure=True)
        tried_again(job)
        assert subjects(judged()) == ["[edi-1 default] Engine failed: return code 1"]
        ends(job, State.SUCCEEDED)
        assert "is well again" in judged(later(hours=1))[-1].subject

    @pytest.mark.parametrize("how", ["cancelled", "cleared"])
    def test_a_retry_that_is_cancelled_leaves_the_run_before_to_be_judged(self, how: str) -> None:
        job = retried_job()
        tried_again(job)
        assert not judged()
        retry = Execution.objects.waiting().get()
        a_waiting(["other"])  # is nobody's retry
        if how == "cancelled":
            assert queue.cancel(retry, "anna")
        else:
            assert queue.clear("default", "anna") == 2
        [mail] = judged()
        why = f"not queued again: execution {retry.pk} was {how} by anna"
        assert mail.subject == f"[edi-1 default] Engine failed: return code 1; {why}"
        assert not judged(later(minutes=1))[1:]
        run = Execution.objects.get(retries=retry)
        assert Alarm.objects.get(job=job).execution_id == run.pk
        assert "queued_again_as" not in run.details

    @pytest.mark.parametrize("how", ["cancelled", "cleared"])
    def test_so_does_the_same_request_that_waited_already(self, how: str) -> None:
        job = retried_job()
        run, waiting = a_run(job), a_waiting(job)
        assert queue.finish(run, end_of(run, Outcome(return_code=1)))
        assert not judged()
        if how == "cancelled":
            assert queue.cancel(waiting, "anna")
        else:
            assert queue.clear("default", "anna") == 1
        [mail] = judged()
        why = f"not queued again: execution {waiting.pk} was {how} by anna"
        assert mail.subject == f"[edi-1 default] Engine failed: return code 1; {why}"
        assert Alarm.objects.get(job=job).execution_id == run.pk

    def test_a_retry_that_serves_one_more_run_leaves_both_to_be_judged(self) -> None:
        job = retried_job()
        tried_again(job)
        retry = Execution.objects.waiting().get()
        direct = queue.claim_this(a_request(job))
        assert direct is not None
        assert queue.finish(direct, end_of(direct, Outcome(return_code=1)))
        assert Execution.objects.waiting().get() == retry
        assert queue.cancel(retry, "anna")
        judged()
        assert Alarm.objects.get(job=job).failures == 2

    def test_what_repeats_a_run_that_was_judged_is_cancelled_without_a_word(self) -> None:
        """Its details are anybody's to write."""
        job = a_job()
        run = ends(job)
        assert len(judged()) == 1
        for told in ([run.pk, "x", 2**70], "lunch"):
            assert queue.cancel(a_waiting(job, details={"also_repeats": told}), "anna")
        assert not courier.to_do(NOW).ended

    def test_the_page_says_that_its_retry_was_cancelled(self, admin_client: Client) -> None:
        tried_again(retried_job())
        retry = Execution.objects.waiting().get()
        queue.cancel(retry, "anna")
        text = admin_client.get(f"/admin/jobqueue/execution/{retry.retry_of_id}/change/").text
        assert f"not queued again: execution {retry.pk} was cancelled by anna" in text
        assert "queued again as" not in text

    def test_the_first_failure_doesn_t_count_again_when_its_retry_is_cancelled(self) -> None:
        job = retried_job(alarm_at_first_failure=True)
        tried_again(job)
        judged()
        queue.cancel(Execution.objects.waiting().get(), "anna")
        assert len(judged(later(hours=1))) == 1
        assert Alarm.objects.get(job=job).failures == 1

    def test_what_was_mailed_when_it_ended_isn_t_mailed_again_when_its_retry_is_cancelled(
        self,
    ) -> None:
        job = retried_job(notify=Notify.EACH_RUN)
        tried_again(job)
        assert len(judged()) == 1
        queue.cancel(Execution.objects.waiting().get(), "anna")
        judged(later(hours=1))
        assert Alarm.objects.get(job=job).told_bad
        assert len(judged(later(hours=2))) == 2  # the change, and no further one on the run

    def test_a_retry_whose_run_was_deleted_is_cancelled_all_the_same(self) -> None:
        job = retried_job()
        tried_again(job)
        Execution.objects.ended().delete()
        assert queue.cancel(Execution.objects.waiting().get(), "anna")
        assert not judged()

    def test_one_that_takes_too_long(self) -> None:
        job = a_job(name="Engine", max_runtime=timedelta(hours=1))
        run = a_run(job)
        overdue = {"details": {"overdue": True}, "unjudged": job.pk}
        Execution.objects.filter(pk=run.pk).update(**overdue)
        [message] = judged()
        too_long = "takes too long: longer than 1 h 0 min (max_runtime), and goes on"
        assert message.subject == f"[edi-1 default] Engine {too_long}"
        run.details = {"overdue": True}
        queue.finish(run, an_end())
        assert len(judged(later(hours=1))) == 1
        ends(job, State.SUCCEEDED)
        assert "is well again" in judged(later(hours=2))[-1].subject

    @pytest.mark.parametrize(
        ("end", "words"),
        [
            ({}, "took too long: longer than 3 s (max_runtime)"),
            ({"state": State.FAILED, "reason": "return code 1"}, "failed: return code 1"),
        ],
    )
    @pytest.mark.parametrize("notify", [Notify.ON_CHANGE, Notify.EACH_FAILURE])
    def test_one_that_took_too_long_and_has_ended_by_the_time_of_telling(
        self, notify: str, end: dict[str, str], words: str
    ) -> None:
        job = a_job(name="Engine", max_runtime=timedelta(seconds=3), notify=notify)
        run = a_run(job)
        run.details = {"overdue": True}
        Execution.objects.filter(pk=run.pk).update(details=run.details, unjudged=job.pk)
        if notify == Notify.ON_CHANGE:  # it was found while it went on
            judging.judge(NOW)
        queue.finish(run, an_end(**end))
        assert subjects(judged()) == [f"[edi-1 default] Engine {words}"]

    def test_the_end_of_one_that_was_judged_before_is_judged_as_well(self) -> None:
        job = a_job(max_runtime=timedelta(hours=1))
        run = a_run(job)
        row = Execution.objects.filter(pk=run.pk)
        row.update(details={"overdue": True}, unjudged=job.pk)
        judged()
        queue.finish(run, an_end())
        assert row.get().unjudged == job.pk

    def test_looking_costs_one_question_at_rest(self) -> None:
        ends(a_job(), State.SUCCEEDED)
        judged()
        one = courier.Courier()
        one.look(NOW)
        with CaptureQueriesContext(connection) as asked:
            assert not one.look(NOW)
        assert len(asked) == 1


class TestTelling:
    def test_one_mail_each_way(self) -> None:
        job = a_job(name="Engine")
        for _ in range(5):
            ends(job)
            judged()
        Alarm.objects.update(since=later(hours=-2))
        ends(job, State.SUCCEEDED)
        mails = judged(later(minutes=10))
        assert subjects(mails)[0] == "[edi-1 default] Engine failed: why"
        assert len(mails) == 2
        assert "Engine is well again after 2 h" in mails[1].subject
        assert "5 runs went wrong" in mails[1].text
        first = mails[0].headers["Message-ID"]
        assert mails[1].headers["References"] == mails[1].headers["In-Reply-To"] == first
        assert mails[0].headers["Auto-Submitted"] == "auto-generated"
        ends(job)
        again = judged(later(minutes=20))[-1]
        assert "References" not in again.headers  # another trouble, another thread

    def test_what_a_mail_says(self) -> None:
        job = a_job(name="Engine", argv=["engine", "--new", "<b>"])
        tail = "\n".join(f"line {number}" for number in range(50)) + "\n<script>\x1b[31mred\x1b[0m"
        run = ends(job, log_tail=tail, log_path="x", return_code=3)
        [mail] = judged()
        assert "Engine failed: why." in mail.text
        assert "Command:     engine --new '<b>'" in mail.text
        assert "Return code: 3" in mail.text
        assert "line 49" in mail.text
        assert "line 3\n" not in mail.text
        assert "<script>red" in mail.text
        url = f"https://edi.example.com/admin/jobqueue/execution/{run.pk}/change/"
        assert url in mail.text
        assert f'href="{url}"' in mail.html
        assert "&lt;script&gt;red" in mail.html
        assert "<script>" not in mail.html

    def test_a_hostile_name_is_one_line(self) -> None:
        ends(a_job(name="Evil\nBcc: c@example.com\r\n\r\nbody"))
        [mail] = judged()
        assert "\n" not in mail.subject
        assert "\r" not in mail.subject

    def test_many_at_once_come_in_one_digest(self) -> None:
        jobs = [a_job(name=f"Job <{number}>") for number in range(10)]
        for job in jobs:
            ends(job)
        [digest] = judged()
        assert digest.subject == "[edi-1] 10 alarms changed: 10 went wrong"
        assert "- Job <7> went wrong: why" in digest.text
        assert "Job &lt;7&gt;" in digest.html
        for job in jobs:
            ends(job, State.SUCCEEDED)
        _, other = judged(later(minutes=10))
        assert other.subject == "[edi-1] 10 alarms changed: 10 well again"
        assert other.headers["In-Reply-To"] == digest.headers["Message-ID"]

    def test_one_after_another_they_are_gathered(self) -> None:
        for number in range(20):
            ends(a_job(name=f"Job {number}"))
            judged(later(seconds=10 * number))
        assert len(judged(later(seconds=200))) == 3
        *_, digest = judged(later(minutes=10))
        assert len(judged(later(minutes=60))) == 4
        assert digest.subject == "[edi-1] 17 alarms changed: 17 went wrong"

    def test_others_are_told_on_their_own(self) -> None:
        for number in range(6):
            ends(a_job(recipients=f"person-{number}@example.com"))
        mails = judged()
        assert sorted(m.recipients[0] for m in mails) == [
            f"person-{n}@example.com" for n in range(6)
        ]

    def test_who(self) -> None:
        ends(a_job())
        ends(a_job(queue="etl"))
        ends(a_job(queue="etl", recipients="own@example.com, two@example.com"))
        assert sorted(m.recipients for m in judged()) == [
            ["etl@example.com"],
            ["managers@example.com"],
            ["own@example.com", "two@example.com"],
        ]

    def test_nobody_there_to_be_told(self, settings: Settings) -> None:
        settings.MANAGERS = []
        job = a_job()
        ends(job)
        assert not judged()
        assert not courier.to_do(later(days=1))[1]
        alarm = Alarm.objects.get(job=job)
        assert (alarm.is_bad, alarm.told_bad, alarm.told_at) == (True, False, None)
        settings.MANAGERS = ["new@example.com"]
        ends(job)
        assert judged()[0].recipients == ["new@example.com"]

    def test_recipients_that_are_gone_from_the_settings(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Others are told instead, and the log says of whom it was to be."""
        ends(a_job(name="Engine", recipients="fl"))
        ends(a_job(name="Load", queue="etl", recipients="webhook:gone"))
        assert sorted(m.recipients for m in judged()) == [
            *(["etl@example.com"], ["managers@example.com"])
        ]
        said = [vars(r) for r in caplog.records if "unknown_recipients" in r.__dict__["event"]]
        assert [(one["job"], one["recipients"]) for one in said] == [
            *(("Engine", "fl"), ("Load", "webhook:gone"))
        ]

    def test_the_log_says_what_became_of_an_alarm_and_of_its_messages(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        job = a_job(name="Engine\n")
        bad = ends(job)
        [message] = judged()
        outbox.sent(message, {}, NOW)
        good = ends(job, State.SUCCEEDED)
        judged(later(hours=1))
        told = ("alarm.bad", "message.sent", "alarm.good")
        said = [vars(r) for r in caplog.records if vars(r).get("event") in told]
        assert [(one["event"], one["execution"]) for one in said] == [
            *(("alarm.bad", bad.pk), ("message.sent", bad.pk), ("alarm.good", good.pk))
        ]
        assert all("\n" not in record.getMessage() for record in caplog.records)

    def test_a_page_says_which_recipients_are_gone(self, admin_client: Client) -> None:
        job = a_job(recipients="<b>fl, own@example.com")
        text = admin_client.get(f"/admin/jobqueue/job/{job.pk}/change/").text
        assert "own@example.com (not in the settings, so nobody: &lt;b&gt;fl)" in text

    def test_many_recipients_get_several_mails(self) -> None:
        people = [f"person-{number}@example.com" for number in range(120)]
        ends(a_job(recipients="\n".join(people)))
        mails = judged()
        assert [len(mail.recipients) for mail in mails] == [50, 50, 20]
        assert sorted(p for mail in mails for p in mail.recipients) == sorted(people)
        assert len({mail.headers["Message-ID"] for mail in mails}) == 1


class TestNotify:
    STORY = (State.SUCCEEDED, State.FAILED, State.FAILED, State.STOPPED, State.SUCCEEDED)

    def told(self, notify: str, **over: Any) -> list[str]:
        job = a_job(name="Engine", notify=notify, **over)
        for number, state in enumerate(self.STORY):
            ends(job, state, log_path="some" if number in (0, 1) else "")
            judged(later(hours=number))
        return [
            subject.split(": ")[0].partition("] ")[2] for subject in subjects(judged(later(days=1)))
        ]

    def test_on_change(self) -> None:
        first, last = self.told(Notify.ON_CHANGE)
        assert first == "Engine failed"
        assert last.startswith("Engine is well again")

    def test_each_failure(self) -> None:
        *failures, last = self.told(Notify.EACH_FAILURE)
        assert failures == ["Engine failed", "Engine failed"]
        assert last.startswith("Engine is well again")

    def test_each_output(self) -> None:
        *runs, last = self.told(Notify.EACH_OUTPUT)
        assert runs == ["Engine succeeded", "Engine failed"]
        assert last.startswith("Engine is well again")

    def test_each_run(self) -> None:
        told = self.told(Notify.EACH_RUN)
        assert told[:5] == [
            *("Engine succeeded", "Engine failed", "Engine failed", "Engine was stopped"),
            "Engine succeeded",
        ]
        assert told[5].startswith("Engine is well again")

    def test_never(self) -> None:
        assert not self.told(Notify.NEVER)
        assert not Alarm.objects.get().told_bad

    def test_after_so_many_in_a_row(self) -> None:
        assert self.told(Notify.ON_CHANGE, alarm_after=2)[0] == "Engine failed"
        Message.objects.all().delete()
        Job.objects.all().delete()
        assert not self.told(Notify.ON_CHANGE, alarm_after=3)


def raised(run: Execution, text: str, now: datetime = NOW) -> list[Message]:
    """What is posted when the run says so."""
    return judging.raise_alarm(run, text, now) or []


class TestWhatARunSays:
    def test_a_check_of_every_minute_that_says_the_same_is_mailed_once(self) -> None:
        job = a_job(name="Check")
        for minute in range(30):
            run = a_run(job)
            assert len(raised(run, "No orders", later(minutes=minute))) == (minute == 0)
            queue.finish(run, an_end())
            judged(later(minutes=minute))
        alarm = Alarm.objects.get()
        assert (alarm.is_bad, alarm.failures, alarm.told_at) == (True, 30, NOW)
        ends(job, State.SUCCEEDED)
        assert "is well again" in judged(later(hours=1))[-1].subject
        assert len(raised(a_run(job), "No orders", later(hours=2))) == 1

    def test_other_words_are_mailed_when_the_quiet_time_is_over(self) -> None:
        run = a_run(a_job(name="Check"))
        raised(run, "No orders")
        [other] = raised(run, "Disk full", later(minutes=1))
        assert other.due_at == later(minutes=5)
        assert not raised(run, "Both", later(minutes=2))  # that one is still on its way
        [both] = raised(run, "Both", later(minutes=20))
        assert both.due_at == later(minutes=20)
        assert both.headers["References"]

    def test_who_has_heard_of_another_failure_hears_these_words_too(self) -> None:
        job = a_job(name="Check")
        ends(job)
        judged()
        assert len(raised(a_run(job), "No orders", later(minutes=6))) == 1

    def test_nobody_there_to_be_told(self, settings: Settings) -> None:
        settings.MANAGERS = []
        run = a_run(a_job())
        assert judging.raise_alarm(run, "No orders", NOW) == []
        assert Alarm.objects.get().told_at is None
        settings.MANAGERS = ["new@example.com"]
        assert len(raised(run, "No orders", later(minutes=1))) == 1

    def test_an_alarm(self) -> None:
        job = a_job(name="Report", argv=["report"])
        run = a_run(job)
        [mail] = raised(run, "No orders since noon\n<b>look</b>", NOW)
        assert mail.subject == "[edi-1 default] ALARM: Report: No orders since noon"
        assert "<b>look" not in mail.html
        queue.finish(run, an_end())
        assert len(judged()) == 1  # that it ends well isn't the end of the alarm
        alarm = Alarm.objects.get()
        assert alarm.is_bad
        assert alarm.reason == "No orders since noon\n<b>look</b>"
        ends(job, State.SUCCEEDED)
        assert judged(later(hours=1))[1].headers["In-Reply-To"] == mail.headers["Message-ID"]

    def test_a_note(self) -> None:
        run = a_run(a_job(name="Report"))
        [mail] = judging.notify(run, "done\nall 12", NOW)
        assert mail.subject == "[edi-1 default] Report: done"
        assert not Alarm.objects.exists()

    def test_of_a_bare_command(self) -> None:
        run = a_run(["report"], queue="etl")
        [mail] = raised(run, "No orders", NOW)
        assert mail.recipients == ["etl@example.com"]


class TestService:
    """The alarm of the service itself."""

    @pytest.fixture
    def watch(self) -> service.Watch:
        watch = service.Watch()
        watch.look(NOW)
        return watch

    def told(self, watch: service.Watch, now: datetime = NOW) -> list[str]:
        """The subjects of all mails, once a look found what another one had found."""
        for _ in range(2):
            watch.look(now)
        telling.tell(now)
        return subjects(list(Message.objects.order_by("pk")))

    def test_all_is_well(self, watch: service.Watch) -> None:
        a_cluster()
        a_schedule()
        assert not self.told(watch)
        assert not Alarm.objects.exists()

    def test_a_schedule_that_was_put_aside(self, watch: service.Watch) -> None:
        a_schedule(name="Nightly")
        Schedule.objects.update(problem="no such zone.")
        subject = "[edi-1] The job queue has trouble: the schedule Nightly can't fire: no such zone"
        assert self.told(watch) == [subject]
        assert self.told(watch, later(hours=1)) == [subject]
        Schedule.objects.update(problem="")
        assert self.told(watch, later(hours=2))[1:] == [
            "[edi-1] The job queue is well again after 2 h 0 min"
        ]
        mail = Message.objects.latest("pk")
        assert "In-Reply-To" in mail.headers
        assert "/admin/jobqueue/alarm/" in mail.text

    def test_a_schedule_whose_job_is_refused(self, watch: service.Watch) -> None:
        schedule = a_schedule(name="Nightly", last_fire_at=NOW)
        values = {"outcome": FireOutcome.REFUSED, "reason": "no such environment."}
        Fire.objects.create(schedule=schedule, fire_at=NOW, **values)
        [subject] = self.told(watch)
        assert subject.endswith("the schedule Nightly was refused: no such environment")
        Job.objects.update(enabled=False)  # somebody wants it so
        assert "is well again" in self.told(watch, later(hours=1))[1]

    def test_a_host_that_fell_silent(self, watch: service.Watch) -> None:
        a_cluster(name="two", host="edi-2", seen_at=NOW - timedelta(minutes=5))
        [subject] = self.told(watch)
        assert subject.endswith("nothing is heard of the cluster two on edi-2")

    def test_what_is_there_for_a_moment_only_is_no_trouble(self, watch: service.Watch) -> None:
        cluster = a_cluster(host="edi-2", seen_at=NOW - timedelta(minutes=5))
        watch.look(NOW)
        cluster.delete()
        assert not self.told(watch)

    def test_a_service_that_was_started_anew_believes_what_is_known(self) -> None:
        Schedule.objects.filter(pk=a_schedule().pk).update(problem="no such zone")
        assert len(self.told(service.Watch())) == 1
        other = service.Watch()
        assert len(self.told(other, later(hours=1))) == 1
        assert Alarm.objects.get().is_bad

    def test_its_page(self, admin_client: Client, watch: service.Watch) -> None:
        Schedule.objects.filter(pk=a_schedule().pk).update(problem="<b>no such zone")
        self.told(watch)
        for url in ("", f"{Alarm.objects.get().pk}/change/"):
            text = admin_client.get(f"/admin/jobqueue/alarm/{url}").text
            assert "The job queue" in text
            assert "&lt;b&gt;no such zone" in text
            assert "managers@example.com" in text or not url


@pytest.mark.django_db(transaction=True)
def test_many_who_judge_at_once_tell_each_thing_once() -> None:
    """As the couriers of several workers do, while runs end."""
    jobs = [a_job(recipients=f"person-{number}@example.com") for number in range(12)]
    for job in jobs:
        ends(job)
        ends(job)

    def look(_: int) -> int:
        failures = 0
        while any(courier.to_do(NOW)[:2]):
            try:
                judging.judge(NOW)
                telling.tell(NOW)
            except OperationalError:  # a courier looks again
                failures += 1
        connections.close_all()
        return failures

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(look, range(4))) < 20
    told = [message.recipients[0] for message in Message.objects.all()]
    assert sorted(told) == sorted(job.recipients for job in jobs)
    assert {alarm.failures for alarm in Alarm.objects.all()} == {2}
