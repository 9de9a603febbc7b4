"""The catalogues: nothing is missing in a language, nothing is half done, all is compiled."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = sorted(ROOT.glob("*/locale/*/LC_MESSAGES/django.po"))
LANGUAGES = {"de", "nl"}
_PLACE = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}")


def names(path: Path) -> str:
    return "/".join(path.relative_to(ROOT).parts[::2][:2])


each = pytest.mark.parametrize("path", CATALOGUES, ids=names)


def places(text: str) -> list[str]:
    """What is filled in; the order may differ only where the places have names."""
    found = _PLACE.findall(text)
    return found if "{}" in found else sorted(found)


def test_each_app_has_all_languages() -> None:
    found = {path.relative_to(ROOT).parts[::2][:2] for path in CATALOGUES}
    apps = {app for app, _language in found}
    assert apps == {"jobqueue", "dirmonitor", "botsproject"}
    assert found == {(app, language) for app in apps for language in LANGUAGES}


@each
def test_all_is_translated(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    assert [entry.msgid for entry in catalogue.untranslated_entries()] == []
    assert [entry.msgid for entry in catalogue.fuzzy_entries()] == []
    assert [entry.msgid for entry in catalogue.obsolete_entries()] == []


@each
def test_what_is_filled_in_is_the_same(path: Path) -> None:
    for entry in polib.pofile(str(path)):
        if entry.msgid_plural:
            forms = entry.msgstr_plural
            assert set(forms) == {0, 1}, entry.msgid
            for number, form in forms.items():
                assert places(form) in (
                    places(entry.msgid if number == 0 else entry.msgid_plural),
                    places(entry.msgid_plural),
                ), entry.msgid
        else:
            assert places(entry.msgstr) == places(entry.msgid), entry.msgid


@each
def test_spaces_and_ends_are_kept(path: Path) -> None:
    for entry in polib.pofile(str(path)):
        texts = entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]
        for text in texts:
            assert text[:1].isspace() == entry.msgid[:1].isspace(), entry.msgid
            assert text[-1:] == entry.msgid[-1:] or not entry.msgid.endswith((".", "?", ":", "…"))


@each
def test_it_is_compiled(path: Path) -> None:
    """``make messages`` was forgotten if this fails."""
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for entry in polib.pofile(str(path)):
        context = (entry.msgctxt,) if entry.msgctxt else ()
        if entry.msgid_plural:
            for number, form in entry.msgstr_plural.items():
                count = 1 if number == 0 else 2
                assert compiled.ngettext(entry.msgid, entry.msgid_plural, count) == form
        elif context:
            assert compiled.pgettext(*context, entry.msgid) == entry.msgstr
        else:
            assert compiled.gettext(entry.msgid) == entry.msgstr
