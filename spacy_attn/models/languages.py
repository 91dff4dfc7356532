"""Codes of languages, and the languages for which spaCy has a tokenizer."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pkgutil import iter_modules

from spacy_attn.errors import ConfigError, allowed_names

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
# What people write in place of a code: names in English and in the language itself.
_NAMES = {
    **dict.fromkeys(("english", "eng"), "en"),
    **dict.fromkeys(("german", "deutsch", "ger"), "de"),
    **dict.fromkeys(("french", "français", "fra"), "fr"),
    **dict.fromkeys(("spanish", "español", "spa"), "es"),
    **dict.fromkeys(("italian", "italiano", "ita"), "it"),
    **dict.fromkeys(("portuguese", "português", "por"), "pt"),
    **dict.fromkeys(("dutch", "nederlands"), "nl"),
    **dict.fromkeys(("chinese", "cn"), "zh"),
    **dict.fromkeys(("japanese", "jp"), "ja"),
    **dict.fromkeys(("russian", "rus"), "ru"),
    **dict.fromkeys(("multi", "multilingual", "any"), "xx"),
}


def check_code(lang: str) -> None:
    """Refuse what is not the code of a language.

    Raises:
        ConfigError: with the code that was probably meant.
    """
    if not _CODE.fullmatch(lang):
        raise ConfigError(
            f"lang = {lang!r} is no code of a language; allowed are two or three small "
            f"letters, such as en, de or fr{_meant(lang)}"
        )


def no_tokenizer(given: str, lang: str, error: Exception, more: str = "") -> ConfigError:
    """The error where spaCy makes no tokenizer for a language.

    Args:
        given: the setting and its value.
        lang: the code.
        error: what spaCy says.
        more: what else can be given.
    """
    spec = find_spec("spacy.lang")
    places = [] if spec is None else spec.submodule_search_locations or []
    codes = sorted(module.name for module in iter_modules(places) if module.ispkg)
    if lang in codes:
        reason = " ".join(str(error).split())[:200]
        return ConfigError(
            f"{given}: spaCy's tokenizer for {lang!r} does not work here ({reason}); install what "
            f"it needs{more}"
        )
    allowed = allowed_names(_NAMES.get(lang.lower(), lang), codes, more)
    return ConfigError(f"{given}: spaCy has no tokenizer for {lang!r}; {allowed}{_meant(lang)}")


def _meant(lang: str) -> str:
    code = _NAMES.get(lang.lower())
    return f"; did you mean {code!r}?" if code else ""
