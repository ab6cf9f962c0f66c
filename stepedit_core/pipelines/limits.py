"""How long an answer may become: the one rule, for the product and for training.

Source: spec 6.8 (community limits).
"""

from __future__ import annotations

from ..types import DualCodes, EditRequest
from ..vocab import GROUP, GROUP_SECONDS

IDS_PER_SECOND = GROUP / GROUP_SECONDS
"""41.67 audio ids are one second of speech."""


def longest_answer(request: EditRequest, source: DualCodes) -> int:
    """Most ids that the language model may write for a request on these codes.

    An edit may be 1.6 times as long as its source and 3 s more. Ports of the release also stop at
    1200 ids, which would cut "more slower" on clips over 19 s; sources end at 30 s here, so the
    factor is limit enough. Cloned words get 2 s and 0.45 s a letter, 15 s at most.
    """
    if request.kind == "clone":
        return int(IDS_PER_SECOND * min(15.0, 2.0 + 0.45 * len(request.new_text)))
    return int(1.6 * GROUP * source.groups + 125)
