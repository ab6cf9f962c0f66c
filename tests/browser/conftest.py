"""One page of a real Chromium for all tests of the session, on the tests' ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.page import NoBrowser, Page, open_page
from tests.conftest import cannot_run
from tests.server.comfyui import Server


@pytest.fixture(scope="session")
def page(request: pytest.FixtureRequest, server: Server) -> Iterator[Page]:
    """The graph editor with the pack's nodes."""
    try:
        with open_page(server.url) as opened:
            yield opened
    except NoBrowser as reason:
        cannot_run(request.config, "browser", str(reason))
