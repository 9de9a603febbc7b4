"""Which variables, and which words of a command line, look like secrets.

It is a guess, for notes and for what is left out of a file: nothing may rely on it to be safe.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

#: Words of a name. What Django hides in its reports of errors counts for variables as well.
_WORDS = frozenset(
    (
        *("TOKEN", "KEY", "APIKEY", "SECRET", "AUTH", "AUTHORIZATION", "BEARER", "COOKIE", "JWT"),
        *("PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD", "PW", "PAT", "PIN", "OTP"),
        *("DSN", "PRIVATE", "SIG", "SIGNATURE"),
    )
)
_WORD_ENDS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
#: The shell's own variables: where it is.
_DIRECTORIES = frozenset(("PWD", "OLDPWD"))
_PASSWORD = r"://[^\s/:@]*:[^\s@]{1,2000}@"
_USER_IN_ADDRESS = re.compile(rf"://[^\s/?#]*@|{_PASSWORD}")
#: A user alone is a token to HTTP, and a name to all else.
_SECRET_IN_ADDRESS = re.compile(rf"https?://[^\s/?#]*@|{_PASSWORD}", re.IGNORECASE)
_IN_QUERY = re.compile(r"[?&;]([\w.-]+)=[^\s&;#]")
_IN_DSN = re.compile(r"\b(?:password|passwd|pwd)\s*=\s*[^\s;]", re.IGNORECASE)
_HEADERS = re.compile(r"\b(?:authorization|bearer|basic)\s*[:=]?", re.IGNORECASE)
_USER = re.compile(r"(?:-[uU]|--(?:proxy-)?user(?:name)?)(?:=|\Z)|-[uU](?=[^=])")
_USER_WITH_PASSWORD = re.compile(r"(?!\d+:\d+\Z)[^\s:/]+:(?!//)\S")
#: Those that take ``-p`` and a password in one word; to others it is an option of several letters.
_PASSWORD_GLUED = re.compile(r"(?:mysql|mariadb|sshpass|7z)[\w-]*")
_NO_PASSWORD = re.compile(r"[\d:]+|.*[./].*", re.DOTALL)


def is_secret(name: str, value: object) -> bool:
    """Whether a variable looks like one that only the system itself should know.

    By its name, or by a value that is an address with a user in it.
    """
    text = str(value)
    if name.upper() in _DIRECTORIES and text.startswith("/"):
        return False
    return _is_secret_name(name) or bool(
        _USER_IN_ADDRESS.search(text) or _IN_DSN.search(text) or _is_in_query(text)
    )


def exposed_words(argv: Sequence[str], *, depth: int = 2) -> Iterator[int]:
    """The numbers, from 1, of words that are a secret, or name the next one as a secret.

    Args:
        argv: the words.
        depth: how deep lines within them are looked into, as a header in a line for a shell.
    """
    program = argv[0].rpartition("/")[2] if argv else ""
    for number, (word, following) in enumerate(zip(argv, [*argv[1:], "-"], strict=False), start=1):
        if _exposes(word, following, program, depth):
            yield number


def _exposes(word: str, following: str, program: str, depth: int) -> bool:
    if depth and any(char.isspace() for char in word.strip()):
        return any(exposed_words(_split(word), depth=depth - 1))  # a line for a shell, or a header
    if _SECRET_IN_ADDRESS.search(word) or _is_in_query(word):
        return True
    is_followed = not following.startswith("-")
    if user := _USER.match(word):
        given = word[user.end() :] or following
        return bool(_USER_WITH_PASSWORD.match(given))
    if word == "-p" and is_followed:
        return not _NO_PASSWORD.fullmatch(following)
    if word.startswith("-p") and not word.startswith("--") and len(word) > 2:
        return bool(_PASSWORD_GLUED.fullmatch(program))
    name, sign, value = (word if "=" in word else word.replace(":", "=", 1)).partition("=")
    if sign and value:
        return _is_secret_name(name) or bool(_IN_DSN.search(word))
    is_name = (not sign and word.startswith("-")) or word.endswith(":")
    return is_followed and (_is_secret_name(name) if is_name else bool(_HEADERS.fullmatch(word)))


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _is_in_query(text: str) -> bool:
    return any(_has_secret_word(name) for name in _IN_QUERY.findall(text))


def _is_secret_name(name: str) -> bool:
    from django.views.debug import get_default_exception_reporter_filter

    hidden = get_default_exception_reporter_filter().hidden_settings
    return bool(hidden.search(name)) or _has_secret_word(name)


def _has_secret_word(name: str) -> bool:
    return any(
        word in _WORDS or word.startswith("CRED") or (word.endswith("PWD") and word != "OLDPWD")
        for word in map(str.upper, _WORD_ENDS.split(name))
    )
