"""Web addresses that users name, and which hosts may be reached."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from jobqueue import endpoints
from jobqueue.endpoints import Endpoint


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hc-ping.com/abc", Endpoint("https", "hc-ping.com", 443, "/abc")),
        ("HTTP://Example.com", Endpoint("http", "example.com", 80, "/")),
        ("http://a_b.example:8000/x?y=1#z", Endpoint("http", "a_b.example", 8000, "/x", "y=1")),
        ("https://[2606:4700::1]:444/", Endpoint("https", "2606:4700::1", 444, "/")),
        ("https://1.1.1.1/", Endpoint("https", "1.1.1.1", 443, "/")),
    ],
)
def test_its_parts(url: str, parts: Endpoint) -> None:
    assert endpoints.parse(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        *("", "hc-ping.com/abc", "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)"),
        *("http://", "http:///x", "http://a b/", "http://a/\r\nHost: b", "http://exämple.com/"),
        *("http://user:pw@example.com/", "http://example.com:x/", "http://example.com:0/"),
        *("http://example.com:99999/", "http://[::1", "http://evil\\@example.com/", "http://-a/"),
        "https://example.com/" + "x" * endpoints.LONGEST,
    ],
)
def test_what_is_none_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(ValueError, match=r"web address|password") as refused:
        endpoints.parse(url)
    assert "\n" not in str(refused.value)
    assert "pw" not in str(refused.value)


@given(st.text() | st.text().map(lambda text: f"http://{text}/"))
def test_whatever_is_taken_is_a_line_of_ascii(url: str) -> None:
    try:
        parts = endpoints.parse(url)
    except ValueError:
        return
    assert f"{parts.host}{parts.target}".isascii()
    assert not set(f"{parts.host}{parts.target}") & set(" \r\n\t\0")


PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_networks_are_refused(address: str) -> None:
    assert not endpoints.is_allowed(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_all_the_world_is_allowed(address: str) -> None:
    assert endpoints.is_allowed(address)


def test_what_the_settings_allow(settings: Settings) -> None:
    networks = ["10.1.0.0/16", "::1/128"]
    settings.JOBQUEUE = {**settings.JOBQUEUE, "ALLOWED_NETWORKS": networks}
    assert endpoints.is_allowed("10.1.2.3")
    assert endpoints.is_allowed("::ffff:10.1.2.3")
    assert endpoints.is_allowed("::1")
    assert not endpoints.is_allowed("10.2.0.1")
    assert endpoints.parse("http://10.1.2.3/").host == "10.1.2.3"
    with pytest.raises(ValueError, match="ALLOWED_NETWORKS"):
        endpoints.parse("http://10.2.0.1/")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://hc-ping.com/secret", "hc-ping.com"),
        ("http://hc.example:8000/secret?x=1", "hc.example:8000"),
    ],
)
def test_what_may_be_shown_is_the_host(url: str, place: str) -> None:
    assert endpoints.parse(url).place == place
