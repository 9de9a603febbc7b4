"""The tests on every supported pair of Python and Django: ``nox``, or ``nox --list`` to choose."""

import nox

PAIRS = [
    ("3.11", "5.2"),
    ("3.12", "5.2"),
    ("3.12", "6.0"),
    ("3.13", "5.2"),
    ("3.13", "6.1"),
]


@nox.session(venv_backend="venv")
@nox.parametrize("python,django", PAIRS)
def tests(session: nox.Session, django: str) -> None:
    """Run pytest in an environment of its own."""
    session.install(f"django~={django}.0", "-e", ".[dev]")
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)
