"""Words that carry nothing: fillers such as "um", and starts that are said twice.

A list of words is judged by its text alone. What is removed by mistake is lost, so both rules are
narrow: a filler is a word of a short table, and a repeat of one word counts only for words that
nobody says twice on purpose ("the the", "I I"). Words that are rightly said twice ("had had",
"very very", numbers, Chinese words made of a doubled character) stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..printable import shown
from .units import bare, is_character


def _set(words: str) -> frozenset[str]:
    """Words between spaces."""
    return frozenset(words.split())


FILLERS: dict[str, frozenset[str]] = {
    "en": _set("um uh uhm erm er hm"),
    "zh": _set("嗯 呃 唔"),
    "ja": _set("えー えーと えっと ええと えーっと うーん うーんと"),
    "ko": _set("음 어 으음 어음"),
    "de": _set("äh ähm öh öhm hm"),
    "fr": _set("euh heu hum hm"),
    "es": _set("eh em hm"),
}
"""Language -> its fillers, in lower case, a letter that is drawn out written once."""
USUAL = ("en", "zh", "ja", "ko")
"""Languages whose fillers are words of no other language of the table: used where none is named."""
LONGEST_REPEAT = 4
"""Most words of a start that is said again."""
STUTTERED = _set(
    "i im id ill ive a an the and but or if of to for from with at by as into we were weve they "
    "theyre he hes she shes its thats theres your his our their am be could should would because "
    "while which where than about some these those"
)
"""English words, without apostrophes, that are hardly ever said twice in a row on purpose.

Not here: "that that", "had had", "what it is is", "what he did did not", "gave her her book", "told
you you may", "saw it it", "came in in time" and "this this" can be good English; so can a doubled
adverb, adjective, question word or "no".
"""
STARTS = _set("我 你 他 她 它 这 那 就 在 和 跟")
"""Chinese characters with which a start that is said again begins; 看看 and 研究研究 are verbs."""
MEANT = frozenset(
    ("come on", "thank you", "oh no", "oh my", "all right", "go on", "wait a minute", "no way")
)
"""English phrases that are said twice on purpose."""
ENDS = ".,;:!?。，；：！？"  # noqa: RUF001
"""Marks after which nothing leads on."""
NUMBERS = _set(
    "zero oh one two three four five six seven eight nine ten eleven twelve twenty thirty forty "
    "fifty sixty seventy eighty ninety hundred thousand double "
    "零 一 二 三 四 五 六 七 八 九 十 百 千 万"
)


def fillers_of(language: str = "") -> frozenset[str]:
    """The fillers of a language, or of the usual ones; ValueError for one without a table."""
    if language and language not in FILLERS:
        raise ValueError(
            f"there are no fillers for the language '{shown(language)}'; allowed are "
            f"{', '.join(FILLERS)}. Choose one of these, or name the words to remove."
        )
    return frozenset().union(*(FILLERS[name] for name in ([language] if language else USUAL)))


def is_filler(word: str, fillers: frozenset[str]) -> bool:
    """Whether a word, with its marks and drawn-out letters ("Ummm,"), is one of the fillers."""
    text = bare(word)
    return bool(text) and (text in fillers or re.sub(r"(.)\1+", r"\1", text) in fillers)


def repeats(words: Sequence[str], fillers: frozenset[str] = frozenset()) -> list[tuple[int, int]]:
    """Places (first, end) of words that are said again right after, in their order.

    The last of equal starts stays: of "I I I think" the places are 0 to 2. Fillers between count as
    part of what is removed. A word that is broken off ("th- the") is a repeat too.
    """
    places = [at for at, word in enumerate(words) if bare(word) and not is_filler(word, fillers)]
    texts = [bare(words[at]) for at in places]
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(places) - 1:
        count = _repeat_at(texts, [words[place] for place in places], at)
        if count:
            first, end = places[at], places[at + count]
            if found and found[-1][1] == first:
                first = found.pop()[0]
            found.append((first, end))
        at += count or 1
    return found


def _repeat_at(texts: list[str], words: list[str], at: int) -> int:
    """How many words from `at` on are said again right after; 0 for none. The longest counts."""
    for count in range(min(LONGEST_REPEAT, (len(texts) - at) // 2), 0, -1):
        said, end = texts[at : at + count], at + 2 * count
        if said != texts[at + count : end] or _is_meant(said):
            continue
        # a start leads on; what ends with its second time was said twice on purpose
        if count == 1 or (end < len(texts) and words[end - 1][-1] not in ENDS):
            return count
    broken = words[at].rstrip(",.").endswith(("-", "\u2013", "\u2014"))
    again = texts[at + 1] if at + 1 < len(texts) else ""
    return int(broken and again.startswith(texts[at]))


def _is_meant(said: list[str]) -> bool:
    """Whether words are said twice on purpose, or may be."""
    if all(text in NUMBERS or text.isdigit() for text in said):
        return True
    if all(is_character(text) for text in said):
        return said[0] not in STARTS
    if len(said) == 1 or len(set(said)) == 1:
        return said[0] not in STUTTERED
    return " ".join(said) in MEANT
