"""The documentation names all that users can set, type and meet, and its links lead somewhere."""

from __future__ import annotations

import ast
import re
from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class

from jobqueue import conf, environments

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md")])
APPS = ("jobqueue", "dirmonitor", "botsproject")
#: Read from the environment, but no setting: what the system brings.
NOT_OURS = {"PATH"}

_CODE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(page: str) -> set[str]:
    """What stands as code in the first column of a page's tables."""
    return set(re.findall(r"^\| `([^`]+)` ", text(page), re.MULTILINE))


class TestSettings:
    def test_each_key_has_a_row(self) -> None:
        assert {f.name for f in fields(conf.Settings)} <= rows("docs/settings.md")

    @pytest.mark.parametrize(
        "key", ["LOG_LIMIT", "LOG_TAIL", "BUSY_ATTEMPTS", "KEEP_DAYS", "KEEP_OUTPUT_DAYS"]
    )
    def test_defaults_are_those_of_the_code(self, key: str) -> None:
        default = getattr(conf.Settings(), key)
        row = re.search(rf"^\| `{key}` \| ([^|]+)", text("docs/settings.md"), re.MULTILINE)
        assert row is not None
        assert re.search(rf"\b{default}\b", row[1])

    def test_each_key_of_an_environment_has_a_row(self) -> None:
        assert set(environments.KEYS) <= rows("docs/settings.md")

    def test_each_check_has_a_row_and_no_row_is_stale(self) -> None:
        known = set(re.findall(r"jobqueue\.[EW]\d+", text("jobqueue/checks.py")))
        documented = {name for name in rows("docs/settings.md") if name.startswith("jobqueue.")}
        assert documented == known

    def test_each_environment_variable_has_a_row(self) -> None:
        found = set(_variables_read(ROOT / "botsproject")) - NOT_OURS
        assert "DATABASE_URL" in found
        assert found <= rows("docs/settings.md")


class TestCommands:
    @pytest.mark.parametrize("name", [n for n, app in get_commands().items() if app in APPS])
    def test_each_has_its_section_with_all_options(self, name: str) -> None:
        page = text("docs/commands.md")
        assert f"manage.py {name}" in page
        for words, parser in _parsers(name):
            assert words in page
            section = _section(page, words)
            missing = [option for option in _own_options(parser) if option not in section]
            assert not missing, f"{words}: {missing}"

    def test_the_services_are_there(self) -> None:
        assert "manage.py qcluster" in text("docs/commands.md")

    def test_the_script_is_there(self) -> None:
        scripts = re.findall(r'^(\w+) = "jobqueue\.scripts', text("pyproject.toml"), re.MULTILINE)
        assert scripts == ["job2queue"]


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_lead_somewhere(self, page: Path) -> None:
        wrong = [target for target in _links(page) if not _resolves(page, target)]
        assert not wrong

    def test_each_page_can_be_reached_from_the_first(self) -> None:
        seen: set[Path] = set()
        left = [ROOT / "README.md"]
        while left:
            page = left.pop()
            seen.add(page)
            targets = {(page.parent / t.partition("#")[0]).resolve() for t in _links(page)}
            left += [t for t in targets if t.suffix == ".md" and t not in seen and t.exists()]
        assert seen >= set(PAGES)


def _variables_read(package: Path) -> Iterator[str]:
    """The names in calls such as ``env.str("NAME")`` and ``os.environ.get("NAME")``."""
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                source = ast.unparse(node.func)
                if source.startswith("env.") or source in ("os.environ.get", "os.getenv"):
                    yield from (
                        a.value
                        for a in node.args[:1]
                        if isinstance(a, ast.Constant) and isinstance(a.value, str)
                    )


def _parsers(name: str) -> Iterator[tuple[str, ArgumentParser]]:
    """A command and its subcommands: their words, and their parsers."""
    command = load_command_class(get_commands()[name], name)
    parser = command.create_parser("manage.py", name)
    yield f"manage.py {name}", parser
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for word, subparser in action.choices.items():
                yield f"manage.py {name} {word}", subparser


def _own_options(parser: ArgumentParser) -> list[str]:
    """The long options that Django's commands don't all have."""
    usual = BaseCommand().create_parser("manage.py", "x")
    known = {option for action in usual._actions for option in action.option_strings}
    return [
        option
        for action in parser._actions
        for option in _shown(action)
        if option.startswith("--") and option not in known
    ]


def _shown(action: Action) -> list[str]:
    return [] if action.help == "==SUPPRESS==" else list(action.option_strings)


def _section(page: str, words: str) -> str:
    """The part of a page under the heading that names a command; the whole page without one."""
    heading = re.search(rf"^(#+) .*`{re.escape(words)}\b.*$", page, re.MULTILINE)
    if heading is None:
        return page
    rest = page[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def _links(page: Path) -> list[str]:
    found = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    targets = [markdown or html for markdown, html in found]
    return [t for t in targets if not re.match(r"[a-z]+:", t)]


def _resolves(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return False
    return not anchor or anchor in _anchors(file)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = _HEADING.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


class TestWhatToDoWhen:
    """Its quotes are what the code says."""

    def said(self) -> list[str]:
        """Each text in the code."""
        modules = [path for app in APPS for path in (ROOT / app).rglob("*.py")]
        found = [text for path in modules for text in _texts(path)]
        return found + [path.read_text() for app in APPS for path in (ROOT / app).rglob("*.html")]

    def quotes(self) -> list[str]:
        return re.findall(r"“([^”]+)”", text("docs/what-to-do-when.md"))

    def test_each_is_somewhere_in_the_code(self) -> None:
        pieces = {piece.strip() for quote in self.quotes() for piece in quote.split("…")}
        wanted = {re.sub(r"\d+", "…", piece).strip(" .:()") for piece in pieces} - {""}
        parts = {part.strip() for piece in wanted for part in piece.split("…")} - {""}
        assert len(parts) > 30
        said = "\n".join(self.said())
        assert not [part for part in parts if part not in said]

    def test_its_events_are_known(self) -> None:
        page = text("docs/what-to-do-when.md").partition("## A line in the log")[2]
        page = page.partition("\n## ")[0]
        events = set(re.findall(r"`(\w+\.\w+)`", page))
        assert len(events) > 10
        assert events <= rows("docs/operating.md")


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
