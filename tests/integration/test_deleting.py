"""Deleting what others refer to: a Job takes no schedule and no monitor along unnoticed."""

from __future__ import annotations

import pytest
from django.db.models import PROTECT, RESTRICT
from django.test import Client

from dirmonitor.models import DirMonitor, HandedOver
from jobqueue.models import Alarm, Fire, FireOutcome, Job, Schedule
from tests.builders import a_job, a_monitor, a_schedule, an_ended
from tests.terminal import Done, call, run_on_terminal
from tests.users import a_client

pytestmark = [pytest.mark.database, pytest.mark.django_db]
USERS = "the schedules Daily, Weekly\\n and the directory monitor In"


@pytest.fixture
def job() -> Job:
    """A Job that two schedules and a monitor use, all with a past."""
    job = a_job(name="Old")
    a_schedule(name="Weekly\n", job=job)
    schedule = a_schedule(name="Daily", job=job)
    execution = an_ended(job=job)
    fired = {"fire_at": execution.queued_at, "outcome": FireOutcome.ADDED}
    Fire.objects.create(schedule=schedule, execution=execution, **fired)
    Alarm.objects.create(job=job)
    monitor = a_monitor("/in", name="In", job=job)
    HandedOver.objects.create(monitor=monitor, digest="d", path="/in/a-file", signature="1:1:1")
    return job


def page(row: Job | DirMonitor) -> str:
    opts = row._meta
    return f"/admin/{opts.app_label}/{opts.model_name}/{row.pk}/delete/"


def shown(client: Client, row: Job | DirMonitor) -> str:
    answer = client.get(page(row))
    assert answer.status_code == 200
    return answer.content.decode()


class TestCommand:
    def test_a_job_that_is_used_stays(self, job: Job) -> None:
        done = call("jobs", "delete", "Old", "--yes")
        why = f"jobs: Old is used by {USERS}: --cascade deletes all of it. Nothing was done.\n"
        assert done == Done(1, "", why)
        assert (Job.objects.count(), Schedule.objects.count()) == (1, 2)

    def test_all_goes_when_somebody_says_so(self, job: Job) -> None:
        done = call("jobs", "delete", "Old", "--yes", "--cascade")
        assert done == Done(0, f"Deleted: Old and with it {USERS}\n", "")
        assert not any(m.objects.exists() for m in (Job, Schedule, Fire, DirMonitor, HandedOver))

    def test_it_still_takes_a_yes(self, job: Job) -> None:
        assert "say --yes" in call("jobs", "delete", "Old", "--cascade").err
        assert Job.objects.exists()

    def test_what_nobody_uses_takes_no_more_than_a_yes(self, job: Job) -> None:
        a_job(name="Other")
        assert call("jobs", "delete", "Other", "--yes").out == "Deleted: Other\n"
        assert call("schedules", "delete", "Daily", "--yes").out == "Deleted: Daily\n"
        assert not Fire.objects.exists()

    @pytest.mark.parametrize("on_delete", [PROTECT, RESTRICT])
    def test_a_host_may_forbid_it(
        self, job: Job, on_delete: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        relation = DirMonitor._meta.get_field("job").remote_field
        monkeypatch.setattr(relation, "on_delete", on_delete)
        done = call("jobs", "delete", "Old", "--yes", "--cascade")
        why = "jobs: Old can't be deleted: the directory monitor In must go first.\n"
        assert done == Done(1, "", why)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
def test_a_terminal_is_asked_with_all_names(answer: str, left: int) -> None:
    a_monitor("/in", name="In", job=a_job(name="Old"))
    done = run_on_terminal("jobs", "delete", "Old", answer=answer)
    assert "Delete Old and with it the directory monitor In? [y/N]" in done.out
    assert (done.code, Job.objects.count(), DirMonitor.objects.count()) == (left, left, left)


class TestAdmin:
    def test_the_page_names_what_goes_and_counts_its_parts(self, job: Job) -> None:
        text = shown(a_client("delete_job", "delete_schedule", "delete_dirmonitor"), job)
        for words in ("Schedule: ", "Directory monitor: ", ">In</a>", ">Daily</a>"):
            assert words in text
        for count in ("Fire times: 1", "Alarms: 1", "Files handed over: 1"):
            assert count in text
        assert "a-file" not in text

    def test_who_may_not_delete_all_of_it_may_not_delete_the_job(self, job: Job) -> None:
        client = a_client("delete_job", "delete_schedule")
        text = shown(client, job)
        assert "directory monitor" in text
        assert "In</" not in text
        assert client.post(page(job), {"post": "yes"}).status_code == 403
        assert (Job.objects.count(), DirMonitor.objects.count()) == (1, 1)

    def test_who_may_see_them_is_told_their_names(self, job: Job) -> None:
        client = a_client("delete_job", "delete_schedule", "view_dirmonitor")
        assert "<li>directory monitor: In</li>" in shown(client, job)

    def test_the_page_of_a_monitor_counts_its_files(self, job: Job) -> None:
        client = a_client("delete_dirmonitor")
        text = shown(client, DirMonitor.objects.get())
        assert "Files handed over: 1" in text
        assert "a-file" not in text
        client.post(page(DirMonitor.objects.get()), {"post": "yes"})
        assert not HandedOver.objects.exists()
