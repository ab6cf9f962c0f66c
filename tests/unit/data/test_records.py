"""Records: what makes two examples equal."""

from __future__ import annotations

from dataclasses import replace

from .examples import codes, example


def test_other_words_other_codes_or_another_edit_are_not_equal():
    one = example(0)
    others = [
        replace(one, request=replace(one.request, text="hello you")),
        replace(one, request=replace(one.request, text="hell", new_text="o")),
        replace(one, request=replace(one.request, option="sad")),
        replace(one, target=codes(4, 5)),
        replace(one, rejected=one.target),
        replace(one, source=one.target, target=one.source),
    ]
    assert len({e.id for e in (one, *others)}) == 7
