"""`python -m stepedit_core` before its command runs."""

from __future__ import annotations

import os
import signal

import pytest

from stepedit_core import __main__ as start


@pytest.mark.parametrize("own", ["", "7"])
def test_torch_keeps_few_products_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    name, other = start.CACHES
    monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(other, raising=False)
    if own:
        monkeypatch.setenv(name, own)
    ctrl_c = signal.getsignal(signal.SIGINT)
    seen = {}
    monkeypatch.setattr("stepedit_core.cli.main", lambda: seen.update(os.environ) or 0)
    with pytest.raises(SystemExit):
        start.run()
    signal.signal(signal.SIGINT, ctrl_c)
    assert seen[name] == (own or "64")
    assert seen[other] == "64"
