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


@pytest.fixture(params=[False, True], ids=["canvas", "nodes 2.0"])
def renderer(request: pytest.FixtureRequest, page: Page) -> bool:
    """Both ways in which the editor draws nodes."""
    page.evaluate(
        "async (on) => await app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)",
        request.param,
    )
    page.errors.clear()
    return bool(request.param)


@pytest.fixture(autouse=True)
def no_dialog(request: pytest.FixtureRequest) -> Iterator[None]:
    """Any order of the tests passes: what one left open would take the pointer of the next."""
    yield
    if "page" in request.fixturenames:
        request.getfixturevalue("page").close_dialogs()
