"""What a bundle can be asked for, for the palettes in the browser: GET /stepedit/offers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server import PromptServer

from .folders import find_bundle, registry

if TYPE_CHECKING:
    from aiohttp import web

    from ...stepedit_core.types import EditRequest

ADDRESS = "/stepedit/offers"
MOST_OPTIONS = 200
WORDS = "hello"


def reasons(bundle: str, kind: str, options: list[str]) -> dict[str, str]:
    """Option -> why this bundle cannot do it; the options that it can do are left out.

    For sounds the options are tags. Reads bundle.json and the text tokenizer, no network. Raises
    ValueError for a bundle that is not here.
    """
    from ...stepedit_core.pipelines.plan import check_request

    model = registry().load(find_bundle(bundle).folder, device="cpu")
    found = {}
    for option in options:
        try:
            check_request(model, _request(kind, option))
        except ValueError as error:
            found[option] = str(error)
    return found


def _request(kind: str, option: str) -> EditRequest:
    from ...stepedit_core.text.engines import FIT
    from ...stepedit_core.types import EditRequest

    if option == FIT:
        return EditRequest(kind=kind, option=option, text=WORDS, seconds=1.0)
    if kind == "sounds":
        return EditRequest(kind=kind, text=WORDS, new_text=f"{WORDS} [{option}]")
    return EditRequest(kind=kind, option=option, text=WORDS)


def answer_offers() -> None:
    """Add the address to ComfyUI's server; once, when the pack is loaded."""
    from aiohttp import web

    @PromptServer.instance.routes.get(ADDRESS)
    async def offers(request: web.Request) -> web.Response:
        query = request.query
        options = query.getall("option", [])[:MOST_OPTIONS]
        asked = query.get("bundle", ""), query.get("kind", ""), options
        try:
            found = await asyncio.to_thread(reasons, *asked)
        except (ValueError, OSError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"reasons": found})
