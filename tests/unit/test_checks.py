"""System checks: each has an id, says what is wrong, and a hint that says what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.checks import CheckMessage, Error, Warning
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.db.utils import ConnectionHandler
from django_q.conf import Conf
from django_q.models import Schedule
from pytest_django import DjangoAssertNumQueries, Settings

from jobqueue import checks, conf
from jobqueue.models import Lease

Given = Callable[..., list[CheckMessage]]

#: A webhook that is fine.
HOOK = {"url": "https://x.example/hook", "key": "0123456789abcdef"}


def ids(found: Sequence[CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


@pytest.fixture(autouse=True)
def registered() -> None:
    """All of them are asked by ``manage.py check``."""
    known = django_checks.registry.registry.get_checks()
    for check in ("check_settings", "check_host", "check_cluster", "check_databases"):
        assert getattr(checks, check) in known
    for_deployment: Any = django_checks.registry.registry.get_checks(include_deployment_checks=True)
    assert checks.check_told in set(for_deployment) - set(known)


@pytest.fixture
def given(settings: Settings) -> Given:
    """What is found about a ``JOBQUEUE``."""

    def check(jobqueue: Any = None, **over: Any) -> list[CheckMessage]:
        settings.JOBQUEUE = jobqueue if jobqueue is not None else over
        found = checks.check_settings()
        assert all(message.hint for message in found)
        return found

    return check


class TestSettings:
    def test_none_is_needed(self, settings: Settings) -> None:
        del settings.JOBQUEUE
        assert checks.check_settings() == []

    def test_all_of_them(self, given: Given) -> None:
        fine = {
            "DATA_DIR": Path("/tmp"),
            "HOST": "edi-1",
            "CLUSTER": "long",
            "ENVIRONMENTS": {"bash": {"prefix": ["bash"]}},
            "ALLOWED_PROGRAMS": ["/opt/*"],
            "MAX_RUNTIME": 60,
            "KILL_AFTER": timedelta(hours=1),
            "QUEUE_RECIPIENTS": {"etl": ["team", "a@example.com"]},
            "RECIPIENTS": {"team": {"to": ["b@example.com"], "profile": "p"}},
            "MAIL_PROFILES": {"p": {"host": "mail.example.com"}},
            "MAIL_FROM": "a@example.com",
            "SITE_URL": "https://edi.example.com/",
            "ALARM_QUIET": 60,
            "LOG_LIMIT": 1024,
            "LOG_TAIL": 0,
            "LEASE": timedelta(minutes=1),
            "BUSY_DELAY": 1.5,
            "BUSY_DELAY_MAX": 60,
            "BUSY_ATTEMPTS": 3,
            "KEEP_RUNS": 0,
            "KEEP_DAYS": 30,
            "KEEP_FAILED_DAYS": None,
            "KEEP_OUTPUT_DAYS": 36500,
            "HEALTH": True,
            "METRICS_TOKEN": "secret-secret-secret",
            "CHANNELS": {"webhook:ops": {"url": "https://x.example/", "key": "hunter2" * 3}},
            "CHANNEL_KINDS": {"sms": "portal.channels.Sms"},
            "ALLOWED_NETWORKS": ["10.1.0.0/16", "fd00::/8"],
            "REMIND_AFTER": 24 * 3600,
        }
        assert fine.keys() == set(conf.KEYS)
        assert given(fine) == []

    @pytest.mark.parametrize("length", [0, 1, 2.9, 86401, 1e12, math.inf, math.nan, "60", None])
    def test_e002_a_lease_of_no_use(self, given: Given, length: object) -> None:
        assert ids(given({"LEASE": length})) == ["jobqueue.E002"]

    @pytest.mark.parametrize("jobqueue", [["DATA_DIR"], "x", 1])
    def test_e001_it_is_no_dict(self, given: Given, jobqueue: object) -> None:
        assert ids(given(jobqueue)) == ["jobqueue.E001"]

    @pytest.mark.parametrize(
        ("misspelt", "nearest"),
        [
            ("LOG_LIMITS", "LOG_LIMIT"),
            ("log_tail", "LOG_TAIL"),
            ("KILLAFTER", "KILL_AFTER"),
            ("DATADIR", "DATA_DIR"),
            ("ENVIRONMENT", "ENVIRONMENTS"),
            ("MAX_RUN_TIME", "MAX_RUNTIME"),
            ("KEEPDAYS", "KEEP_DAYS"),
        ],
    )
    def test_e001_a_misspelt_key_names_the_nearest(
        self, given: Given, misspelt: str, nearest: str
    ) -> None:
        [error] = given({misspelt: 1})
        assert isinstance(error, Error)
        assert error.id == "jobqueue.E001"
        assert repr(misspelt) in error.msg
        assert error.hint == f"Did you mean {nearest!r}?"

    def test_e001_one_like_none_lists_them(self, given: Given) -> None:
        [error] = given({"ZZZ": 1, "LOG_TAIL": 1})
        assert str(error.hint).startswith("Known: DATA_DIR, HOST,")

    def test_e001_a_key_that_is_no_string(self, given: Given) -> None:
        assert ids(given({5: 1})) == ["jobqueue.E001"]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("DATA_DIR", 5),
            ("HOST", None),
            ("CLUSTER", 1),
            ("ENVIRONMENTS", ["java"]),
            ("ALLOWED_PROGRAMS", "/opt/*"),
            ("ALLOWED_PROGRAMS", [1]),
            ("MAX_RUNTIME", "60"),
            ("KILL_AFTER", "1h"),
            ("KILL_AFTER", -1),
            ("KILL_AFTER", timedelta(seconds=-1)),
            ("LOG_LIMIT", "100M"),
            ("LOG_LIMIT", True),
            ("LOG_LIMIT", -1),
            ("LOG_TAIL", None),
            ("BUSY_DELAY", None),
            ("BUSY_DELAY_MAX", "x"),
            ("BUSY_ATTEMPTS", 1.5),
            ("KEEP_DAYS", timedelta(days=1)),
            ("KEEP_DAYS", 36501),
            ("KEEP_OUTPUT_DAYS", -1),
            ("KEEP_RUNS", None),
            ("HEALTH", 1),
            ("HEALTH", "yes"),
            ("METRICS_TOKEN", "short"),
            ("METRICS_TOKEN", "with a space in the midst"),
            ("METRICS_TOKEN", "long enough but\nwith a line break"),
            ("METRICS_TOKEN", True),
            ("ALARM_QUIET", "5 min"),
            ("ALARM_QUIET", -1),
            ("RECIPIENTS", ["a@example.com"]),
            ("QUEUE_RECIPIENTS", "a@example.com"),
            ("MAIL_PROFILES", []),
            ("MAIL_FROM", 1),
            ("SITE_URL", None),
        ],
    )
    def test_e002_a_wrong_value(self, given: Given, key: str, value: object) -> None:
        [error] = given({key: value})
        assert isinstance(error, Error)
        assert error.id == "jobqueue.E002"
        assert key in error.msg
        assert str(error.hint).startswith("It takes ")

    def test_a_secret_is_not_shown(self, given: Given) -> None:
        [error] = given(METRICS_TOKEN="hush hush hush hush hush")
        assert "hush" not in f"{error.msg} {error.hint}"
        assert "hush" not in repr(conf.Settings(METRICS_TOKEN="hush"))

    def test_w003_a_broken_environment(self, given: Given) -> None:
        [warning] = given(ENVIRONMENTS={"etl": {"virtualenv": "/nowhere"}, "fine": {}})
        assert isinstance(warning, Warning)
        assert warning.id == "jobqueue.W003"
        assert "'etl'" in warning.msg
        assert "/nowhere" in warning.msg

    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            ("SITE_URL", "edi.example.com", "SITE_URL isn't"),
            ("SITE_URL", "javascript:alert(1)", "SITE_URL isn't"),
            ("MAIL_FROM", "Bots", "MAIL_FROM: 'Bots'"),
            ("MAIL_FROM", "a@b\nBcc: c@d", "MAIL_FROM: "),
            ("MAIL_PROFILES", {"x": "smtp"}, "'x']: it isn't a dict"),
            ("MAIL_PROFILES", {"x": {"port": 25}}, "'x']: it names no host"),
            ("MAIL_PROFILES", {"x": {"host": "h", "port": "25"}}, "'x']: its port"),
            ("MAIL_PROFILES", {"x": {"host": "h", "tls": "yes"}}, "'x']: its tls is none of"),
            ("MAIL_PROFILES", {"x": {"host": "h", "pasword": "hunter2"}}, "no setting 'pasword'"),
            ("MAIL_PROFILES", {"x": {"host": "h", "sender": "me\n"}}, "'x']: its sender"),
            ("MAIL_PROFILES", {"x": {"host": "h hunter2"}}, "'x']: its host has blanks"),
            ("MAIL_PROFILES", {"x": {"host": "h\x1b"}}, "'x']: its host has blanks or control"),
            ("MAIL_PROFILES", {"x": {"host": "h", "user": 5}}, "'x']: its user isn't text"),
            ("MAIL_PROFILES", {"x": {"host": "localhost", "password": 5}}, "its password isn't"),
            ("MAIL_PROFILES", {"x": {"host": "h", "port": 465, "tls": "starttls"}}, "is for ssl"),
            ("MAIL_PROFILES", {"x": {"host": "h", "port": 587, "tls": "ssl"}}, "is for starttls"),
            ("RECIPIENTS", {"x": ["a@example.com"]}, "'x']: it isn't a dict"),
            ("RECIPIENTS", {"x": {"to": "a@example.com"}}, "'to' isn't a list"),
            ("RECIPIENTS", {"x": {"to": ["a@b\nBcc: c"]}}, r"'a@b\\nBcc: c' is no mail address"),
            ("RECIPIENTS", {"x": {"to": ["a@b"], "profile": "p"}}, "no SMTP profile 'p'"),
            ("QUEUE_RECIPIENTS", {"etl": "a@example.com"}, "'etl']: it isn't a list"),
            ("QUEUE_RECIPIENTS", {"etl": ["team"]}, "'team' is no mail address"),
            ("QUEUE_RECIPIENTS", {"etl": ["webhook:gone"]}, "'webhook:gone' is no mail address"),
            ("CHANNELS", {"ops": {}}, "'ops']: its name isn't kind:name"),
            ("CHANNELS", {1: {}}, "its name isn't kind:name"),
            ("CHANNELS", {"sms:x": {}}, "there is no kind of channel 'sms'"),
            ("CHANNELS", {"ping:x": {}}, "mail and pings have their own settings"),
            ("CHANNELS", {"webhook:x": "hunter2"}, "'webhook:x']: it isn't a dict"),
            ("CHANNELS", {"webhook:x": {**HOOK, "kee": "hunter2"}}, "no setting 'kee'"),
            ("CHANNELS", {"webhook:x": {**HOOK, "url": "ftp://hunter2"}}, "its url: A web address"),
            ("CHANNELS", {"webhook:x": {**HOOK, "url": "http://10.1.2.3/hunter2"}}, "ALLOWED_NET"),
            ("CHANNELS", {"webhook:x": {**HOOK, "key": "hunter2"}}, "its key isn't a secret of 16"),
        ],
    )
    def test_w017_a_broken_mail_setting(
        self, given: Given, key: str, value: object, words: str
    ) -> None:
        [warning] = given({key: value})
        assert isinstance(warning, Warning)
        assert warning.id == "jobqueue.W017"
        assert words in warning.msg
        assert "hunter2" not in warning.msg

    def test_a_broken_mail_setting_keeps_no_command_from_running(self, settings: Settings) -> None:
        settings.JOBQUEUE = {**settings.JOBQUEUE, "MAIL_PROFILES": {"x": {"hots": "h"}}}
        call_command("check")

    @pytest.mark.parametrize(
        ("managers", "is_told"),
        [([], False), (["no address"], False), (["edi@example.com"], True)],
    )
    def test_w019_nobody_hears_of_the_service(
        self, settings: Settings, managers: list[str], is_told: bool
    ) -> None:
        settings.MANAGERS = managers
        assert ids(checks.check_told()) == ([] if is_told else ["jobqueue.W019"])

    @pytest.mark.parametrize(
        ("profile", "is_told"),
        [
            ({"host": "h", "port": 25}, True),
            ({"host": "h", "port": 2525}, True),
            ({"host": "h", "port": 587, "tls": "none"}, True),
            ({"host": "h", "port": 587}, False),
            ({"host": "h", "port": 465}, False),
            ({"host": "h", "tls": "starttls"}, False),
            ({"host": "localhost"}, False),
            ({"host": "127.0.0.2"}, False),
            ({"host": "::1"}, False),
        ],
    )
    def test_w018_a_password_that_others_can_read(
        self, given: Given, profile: dict[str, Any], is_told: bool
    ) -> None:
        secret = {"user": "queue", "password": "hunter2"}
        found = given(MAIL_PROFILES={"p": profile | secret})
        assert ids(found) == (["jobqueue.W018"] if is_told else [])
        assert all("hunter2" not in message.msg for message in found)
        assert given(MAIL_PROFILES={"p": profile}) == []

    def test_mail_settings_that_are_fine(self, given: Given) -> None:
        found = given(
            SITE_URL="https://edi.example.com/portal",
            MAIL_FROM="Bots <bots@example.com>",
            MAIL_PROFILES={"p": {"host": "h", "port": 465, "tls": "ssl", "password": ""}},
            RECIPIENTS={"team": {"to": ["a@b", "c@d.example", "webhook:x"], "profile": "p"}},
            QUEUE_RECIPIENTS={"etl": ["team", "d@e.example", "webhook:x"]},
            CHANNELS={"webhook:x": {**HOOK, "url": "http://10.1.2.3/"}},
            ALLOWED_NETWORKS=["10.0.0.0/8"],
            ALARM_QUIET=0,
        )
        assert found == []

    def test_every_mistake_is_found_at_once(self, given: Given) -> None:
        found = given(HOSTS=1, LOG_TAIL="x", ENVIRONMENTS={"a": 1})
        assert sorted(ids(found), key=str) == ["jobqueue.E001", "jobqueue.E002", "jobqueue.W003"]


class TestHost:
    def test_it_has_what_is_needed(self) -> None:
        assert checks.check_host() == []

    def test_e004_django_q_is_not_installed(self, settings: Settings) -> None:
        settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_q"]
        [error] = checks.check_host()
        assert isinstance(error, Error)
        assert (error.id, error.hint) == ("jobqueue.E004", "Add 'django_q' to INSTALLED_APPS.")

    def test_e005_times_have_no_zone(self, settings: Settings) -> None:
        settings.USE_TZ = False
        [error] = checks.check_host()
        assert isinstance(error, Error)
        assert (error.id, error.hint) == ("jobqueue.E005", "Set USE_TZ = True.")

    def test_w015_the_admin_s_own_template_is_first(self, settings: Settings) -> None:
        others = [app for app in settings.INSTALLED_APPS if app != "jobqueue"]
        settings.INSTALLED_APPS = [*others, "jobqueue"]
        [warning] = checks.check_host()
        assert isinstance(warning, Warning)
        assert warning.id == "jobqueue.W015"
        assert "before 'django.contrib.admin'" in str(warning.hint)


class TestCluster:
    @pytest.mark.parametrize("broker", [{"orm": "default"}, {"redis": {"host": "127.0.0.1"}}])
    def test_a_host_s_usual_one_is_no_error(
        self, settings: Settings, broker: dict[str, Any]
    ) -> None:
        settings.Q_CLUSTER = {"name": "portal", "timeout": 60, "retry": 90, "workers": 4, **broker}
        assert checks.check_cluster() == []

    @pytest.mark.parametrize(
        "q_cluster", [{}, {"timeout": None}, {"sync": True, "timeout": 86400}, {"workers": 64}]
    )
    def test_whatever_it_says_is_no_error(
        self, settings: Settings, q_cluster: dict[str, Any]
    ) -> None:
        settings.Q_CLUSTER = q_cluster
        found = checks.check_cluster()
        assert found
        assert all(isinstance(message, Warning) and message.hint for message in found)

    def test_w010_sync(self, settings: Settings) -> None:
        settings.Q_CLUSTER = {"sync": True, "timeout": 20}
        assert ids(checks.check_cluster()) == ["jobqueue.W010"]

    @pytest.mark.parametrize("timeout", [None, 0, 121, 3600])
    def test_w011_a_long_timeout(self, settings: Settings, timeout: int | None) -> None:
        settings.Q_CLUSTER = {"timeout": timeout}
        assert ids(checks.check_cluster()) == ["jobqueue.W011"]

    def test_w011_none_at_all(self, settings: Settings) -> None:
        del settings.Q_CLUSTER
        assert ids(checks.check_cluster()) == ["jobqueue.W011"]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Look at another database, with these settings."""
    handlers: list[ConnectionHandler] = []

    def use(**database: Any) -> None:
        handlers.append(ConnectionHandler({"default": database}))
        monkeypatch.setattr(checks, "connections", handlers[0])

    yield use
    for handler in handlers:
        handler.close_all()


@pytest.mark.django_db
class TestDatabases:
    def found(self) -> list[CheckMessage]:
        found = checks.check_databases(databases=["default"])
        assert all(message.hint for message in found)
        return found

    @pytest.mark.database
    def test_that_of_the_tests_is_fine(self) -> None:
        assert self.found() == []

    def test_it_is_asked_only_when_it_is_named(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(0):
            assert checks.check_databases() == []
            assert checks.check_databases(databases=["other"]) == []

    def test_one_that_is_not_there_is_not_our_business(
        self, elsewhere: Callable[..., None]
    ) -> None:
        elsewhere(ENGINE="django.db.backends.sqlite3", NAME="/nowhere/at/all.sqlite3")
        assert self.found() == []

    def test_e006_another_kind(self, elsewhere: Callable[..., None]) -> None:
        elsewhere(ENGINE="django.db.backends.dummy")
        [error] = self.found()
        assert isinstance(error, Error)
        assert error.id == "jobqueue.E006"

    def test_w012_and_w013_a_plain_sqlite(
        self, elsewhere: Callable[..., None], tmp_path: Path
    ) -> None:
        elsewhere(ENGINE="django.db.backends.sqlite3", NAME=tmp_path / "plain.sqlite3")
        first, second = self.found()
        assert (first.id, second.id) == ("jobqueue.W012", "jobqueue.W013")
        assert "journal_mode is 'delete'" in first.msg
        assert "WAL" in str(first.hint)
        assert "IMMEDIATE" in str(second.hint)

    def test_our_own_options_are_fine(self, elsewhere: Callable[..., None], tmp_path: Path) -> None:
        options = {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
        path = tmp_path / "fine.sqlite3"
        elsewhere(ENGINE="django.db.backends.sqlite3", NAME=path, OPTIONS=options)
        assert self.found() == []

    @pytest.mark.parametrize(("level", "number"), [("OFF", 0), ("NORMAL", 1), ("FULL", 2)])
    def test_w012_a_request_in_a_transaction_that_is_not_durable(
        self, elsewhere: Callable[..., None], tmp_path: Path, level: str, number: int
    ) -> None:
        """Its commit is the host's; any other request gets FULL by itself."""
        options = {
            "transaction_mode": "IMMEDIATE",
            "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={level};",
        }
        path = tmp_path / "less.sqlite3"
        elsewhere(ENGINE="django.db.backends.sqlite3", NAME=path, OPTIONS=options)
        problems = [f"synchronous is '{number}': a power cut may take requests that were accepted"]
        said = [problem.msg.partition(" inside")[0] for problem in self.found()]
        assert said == (problems if number < 2 else [])

    @pytest.mark.database
    def test_w012_a_server_that_is_not_durable(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("a session of PostgreSQL only can set this for itself")
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
            found = self.found()
            cursor.execute("SET synchronous_commit = local")
            assert self.found() == []
            cursor.execute("RESET synchronous_commit")
        assert ids(found) == ["jobqueue.W012"]
        assert "power cut" in found[0].msg

    @pytest.mark.database
    @pytest.mark.parametrize(
        ("vendor", "said", "blamed"),
        [
            ("postgresql", {"synchronous_commit": "local"}, []),
            ("postgresql", {"fsync": "off"}, ["fsync"]),
            ("mysql", {"innodb_flush_log_at_trx_commit": "2"}, ["innodb_flush_log_at_trx_commit"]),
            ("mysql", {"innodb_flush_log_at_trx_commit": "0"}, ["innodb_flush_log_at_trx_commit"]),
            ("mysql", {"sync_binlog": "0", "log_bin": "1"}, ["sync_binlog"]),
            ("mysql", {"sync_binlog": "1", "log_bin": "1"}, []),
            ("mysql", {"sync_binlog": "0", "log_bin": "0"}, []),
            (
                "mysql",
                {"sync_binlog": "0", "log_bin": "1", "innodb_flush_log_at_trx_commit": "3"},
                [],
            ),
        ],
    )
    def test_w012_what_a_server_says(
        self, vendor: str, said: dict[str, str], blamed: list[str]
    ) -> None:
        if connection.vendor != vendor:
            pytest.skip(f"only {vendor} has these settings")

        def answer(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            for name, value in said.items():
                sql = sql.replace(f"SHOW {name}", f"SELECT '{value}'")
                sql = sql.replace(f"@@{name}", f"'{value}'")
            return execute(sql, *rest)

        with connection.execute_wrapper(answer):
            found = self.found()
        assert [message.msg.split()[0] for message in found] == blamed
        assert all(message.id == "jobqueue.W012" for message in found)

    @pytest.mark.parametrize(("workers", "expected"), [(1, ["jobqueue.W014"]), (2, [])])
    def test_w014_the_host_s_schedules_beside_one_worker(
        self, monkeypatch: pytest.MonkeyPatch, workers: int, expected: list[str]
    ) -> None:
        monkeypatch.setattr(Conf, "WORKERS", workers)
        assert self.found() == []
        Schedule.objects.create(func="portal.tasks.send_reminders")
        assert ids(self.found()) == expected

    def test_w016_another_machine_of_this_name(self) -> None:
        name = conf.current().HOST
        Lease.objects.create(place="x:y", host="x", renewed_at=Now())
        assert self.found() == []
        Lease.objects.create(place=f"{name}:elsewhere", host=name, renewed_at=Now())
        [warning] = self.found()
        assert warning.id == "jobqueue.W016"
        assert f"{name}:elsewhere" in warning.msg

    def test_w016_says_nothing_of_one_that_is_long_silent(self) -> None:
        name, long_ago = conf.current().HOST, Now() - 2 * conf.current().LEASE
        Lease.objects.create(place=f"{name}:elsewhere", host=name, renewed_at=long_ago)
        assert self.found() == []
