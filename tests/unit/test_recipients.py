"""Who is told: addresses, groups, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobqueue import recipients
from jobqueue.recipients import Audience


@pytest.fixture(autouse=True)
def groups(settings: Settings) -> None:
    settings.MANAGERS = [("The managers", "managers@example.com")]
    known = {
        "edi": {"to": ["anna@example.com", "bert@example.com"], "profile": "partners"},
        "night": {"to": ["watch@example.com"]},
    }
    by_queue = {"etl": ["night", "etl@example.com"]}
    settings.JOBQUEUE = {
        **settings.JOBQUEUE,
        "RECIPIENTS": known,
        "QUEUE_RECIPIENTS": by_queue,
        "CHANNELS": {"webhook:ops": {}, "apprise:chat": {}},
    }


class TestAddress:
    @pytest.mark.parametrize(
        "text", ["a@example.com", "a.b+c@mail.example.com", "root@localhost", "ops@mailhost"]
    )
    def test_those_that_are_fine(self, text: str) -> None:
        assert recipients.address(text) == text

    def test_a_name_of_the_world_is_sent_as_dns_has_it(self) -> None:
        assert recipients.address("a@bücher.example") == "a@xn--bcher-kva.example"

    @pytest.mark.parametrize(
        "text",
        [
            *("", "a", "a@", "@b", "a b@example.com", "Anna <a@example.com>", "a@b@c", "a@b c"),
            *("a@b\nBcc: c", "a@example.com\nBcc: c@d.example", "a@example.com\r\n", "a@b\0"),
            *("a@example.com,b@example.com", "ä@example.com", "-o@-evil", "x" * 250 + "@b.example"),
        ],
    )
    def test_those_that_are_refused_in_one_line(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no mail address") as refused:
            recipients.address(text)
        assert "\n" not in str(refused.value)

    @given(st.text())
    def test_what_is_taken_can_stand_in_a_header(self, text: str) -> None:
        try:
            plain = recipients.address(text)
        except ValueError:
            return
        assert plain.isascii()
        assert plain.isprintable()
        assert not set(plain) & set(" ,;<>")


class TestParse:
    def test_separators(self) -> None:
        text = " a@x.example, b@x.example;edi\r\nc@x.example\n,, a@x.example "
        assert recipients.parse(text) == ["a@x.example", "b@x.example", "edi", "c@x.example"]
        assert recipients.parse(" \n") == []

    def test_a_header_after_a_line_end_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'Bcc: c' is no mail address, and no group"):
            recipients.parse("a@b\nBcc: c")

    def test_a_channel_is_one_of_the_settings(self) -> None:
        assert recipients.parse("webhook:ops, a@x.example") == ["webhook:ops", "a@x.example"]
        with pytest.raises(ValueError, match="or channel in JOBQUEUE"):
            recipients.parse("webhook:gone")

    def test_all_that_are_unknown_are_told_at_once(self) -> None:
        with pytest.raises(ValueError, match="None of these is a mail address") as refused:
            recipients.parse("edi, fl, a@x.example, webhook:gone")
        assert str(refused.value).endswith(": 'fl', 'webhook:gone'.")
        with pytest.raises(ValueError, match="None of these") as refused:
            recipients.parse(",".join(f"g{number}" for number in range(5000)))
        assert str(refused.value).endswith("'g8', 'g9', ….")

    def test_too_many(self) -> None:
        many = ",".join(f"a{number}@x.example" for number in range(10_001))
        with pytest.raises(ValueError, match="10001 recipients are more than 10000"):
            recipients.parse(many)


class TestAudiences:
    def test_a_job_s_own_go_before_those_of_its_queue(self) -> None:
        night = Audience("", ("watch@example.com", "etl@example.com"))
        managers = Audience("", ("managers@example.com",))
        assert recipients.told("a@x.example", "etl") == [Audience("", ("a@x.example",))]
        assert recipients.told(" ", "etl") == [night]
        assert recipients.told("", "default") == [managers]

    def test_words_that_mean_nobody_any_more_count_as_none(self) -> None:
        managers = Audience("", ("managers@example.com",))
        assert recipients.told("gone", "etl") == recipients.told("", "etl")
        assert recipients.told("gone", "default") == [managers]
        assert recipients.told("gone, a@x.example", "etl") == [Audience("", ("a@x.example",))]
        assert recipients.unknown("gone, a@x.example, night, webhook:no", "etl") == [
            *("gone", "webhook:no")
        ]
        assert recipients.unknown("", "etl") == []

    def test_nobody_named_means_the_managers(self, settings: Settings) -> None:
        assert recipients.audiences([]) == [Audience("", ("managers@example.com",))]
        settings.MANAGERS = ["one@example.com", "two@example.com"]
        assert recipients.audiences([]) == [Audience("", ("one@example.com", "two@example.com"))]

    def test_groups_have_their_profile_and_nobody_is_told_twice(self) -> None:
        found = recipients.audiences(["edi", "c@x.example", "bert@example.com", "night"])
        assert found == [
            Audience("partners", ("anna@example.com", "bert@example.com")),
            Audience("", ("c@x.example", "watch@example.com")),
        ]

    def test_each_channel_is_told_by_itself_and_once(self, settings: Settings) -> None:
        groups = {"team": {"to": ["webhook:ops", "a@x.example"]}}
        settings.JOBQUEUE = {**settings.JOBQUEUE, "RECIPIENTS": groups}
        assert recipients.audiences(["webhook:ops", "team", "apprise:chat"]) == [
            Audience("", ("a@x.example",)),
            Audience("ops", ("webhook:ops",), "webhook"),
            Audience("chat", ("apprise:chat",), "apprise"),
        ]

    def test_what_means_nobody_any_more_is_passed_over(self) -> None:
        assert recipients.audiences(["gone", "c@x.example"]) == [Audience("", ("c@x.example",))]

    def test_of_broken_settings_what_can_be_read(self, settings: Settings) -> None:
        groups = {
            "a": "a@x.example",
            "b": {"to": "b@x.example"},
            "c": {"to": None},
            "d": {"to": [1]},
        }
        by_queue = {"etl": "a@x.example", "in": [1, "c@x.example"]}
        own = {"RECIPIENTS": groups, "QUEUE_RECIPIENTS": by_queue}
        settings.JOBQUEUE = {**settings.JOBQUEUE, **own}
        assert recipients.audiences([*groups, "c@x.example"]) == [Audience("", ("c@x.example",))]
        assert recipients.unknown("", "etl") == []
        assert recipients.told("", "in") == [Audience("", ("c@x.example",))]

    def test_many(self) -> None:
        found = recipients.audiences(f"a{number}@x.example" for number in range(10_000))
        assert len(found) == 200
        assert {len(audience.addresses) for audience in found} == {50}
