"""How long an answer may become: the one rule, for the product and for training.

Source: spec 6.8 (community limits).
"""

from __future__ import annotations

from ..text.pace import SLOWEST, seconds_to_say
from ..types import DualCodes, EditRequest
from ..vocab import GROUP, GROUP_SECONDS

IDS_PER_SECOND = GROUP / GROUP_SECONDS
"""41.67 audio ids are one second of speech."""
LONGEST_CLONE = 60.0
"""Seconds of new words at most; the release's context has room for prompt and answer of 65 s."""


KEEPS_TIME = ("emotion", "style", "denoise", "trim_silence")
"""Kinds that leave a clip about as long as it was, however often they are applied."""


def longest_answer(request: EditRequest, source: DualCodes, first: DualCodes | None = None) -> int:
    """Most ids that the language model may write for a request on these codes.

    An edit may be 1.6 times as long as its source and 3 s more. Ports of the release also stop at
    1200 ids, which would cut "more slower" on clips over 19 s; sources end at 30 s here, so the
    factor is limit enough. Where the edit leaves the time alone, its rounds stay below the limit of
    `first`, the codes before the first of them: else each could be 1.6 times the one before. Cloned
    words get 2 s and 0.45 s a letter up to 15 s, and more where a slow reader needs more, up to
    LONGEST_CLONE.
    """
    if request.kind == "clone":
        slow = min(LONGEST_CLONE, 2.0 + seconds_to_say(request.new_text, SLOWEST))
        return int(IDS_PER_SECOND * min(max(15.0, slow), 2.0 + 0.45 * len(request.new_text)))
    if first is not None and request.kind in KEEPS_TIME and first.groups < source.groups:
        source = first
    return int(1.6 * GROUP * source.groups + 125)
