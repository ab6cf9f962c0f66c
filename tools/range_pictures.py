"""Pictures of choosing words in Edit Range: by mouse, by keys, and before and after an edit.

    python -m tools.range_pictures

Runs ComfyUI with nano on the sample clip and writes docs/pictures/part_*.jpg and the picture of
the node's help. nano is given the words with their times, as Transcribe takes them.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from tests.browser.page import Page, open_page
from tests.server.comfyui import PACK, Server
from tests.server.material import SETTINGS
from tools.graphs import CLIP, WORDS, node
from tools.save_workflows import FIT, HELP, ONLY_GRAPH, PLACES, built, run_once

PICTURES = PACK / "docs" / "pictures"
ENDS = (
    *(0.43, 0.64, 0.9, 1.355, 1.655, 2.09, 2.49, 2.71),
    *(2.895, 2.965, 3.37, 3.58, 3.725, 3.96, 4.03, 4.385),
)
"""Second at which each word of the sample clip ends, by Whisper base."""
TIMES = "".join(
    f"{start:.3f} {end:.3f} {word} 1.00\n"
    for start, end, word in zip((0.0, *ENDS), ENDS, WORDS.split(), strict=False)
)
PANEL = "Choose a part of the recording"
SIZE = [560, 800]
MOST_BYTES = 80_000
GRAPH: dict[str, Any] = {
    "nodes": [
        node("model", "StepEdit_LoadModel", (0, 0), widgets={"bundle": "nano"}),
        node("clip", "LoadAudio", (0, 240), widgets={"audio": f"stepedit_{CLIP}"}),
        node("emotion", "StepEdit_Emotion", (0, 480), widgets={"emotion": "excited"}),
        node("words", "StepEdit_Transcribe", (0, 800), widgets={"text": TIMES}),
        node("part", "StepEdit_EditRange", (460, 0), widgets={"seed": 7}, size=SIZE),
    ],
    "links": [
        ("model", "model", "part", "model"),
        ("clip", "AUDIO", "part", "audio"),
        ("emotion", "edit", "part", "edit"),
        ("clip", "AUDIO", "words", "audio"),
        ("words", "words", "part", "words"),
    ],
}


def shot(page: Page) -> Image.Image:
    """The node Edit Range as it is drawn."""
    page.page.wait_for_timeout(600)
    with Image.open(BytesIO(page.page.screenshot())) as whole:
        picture = whole.convert("RGB")
    x, y, wide, tall = next(p[1:] for p in page.evaluate(PLACES) if p[0] == "StepEdit_EditRange")
    return picture.crop((int(x) - 8, int(y) - 8, int(x + wide) + 8, int(y + tall) + 8))


def keep(picture: Image.Image, path: Path, most: tuple[int, int]) -> None:
    """Write a picture of at most 80 kB."""
    picture = picture.copy()
    picture.thumbnail(most)
    picture.save(path, quality=80, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise RuntimeError(f"{path.name} has {path.stat().st_size} bytes")


def take(page: Page, server: Server) -> None:
    """Listen, choose by mouse, choose by keys, edit."""
    built(page, GRAPH)
    size = page.page.viewport_size
    page.evaluate(FIT, [size["width"], size["height"]])
    page.page.add_style_tag(content=ONLY_GRAPH)
    run_once(page, server)
    panel = page.page.get_by_role("group", name=PANEL)

    def place(text: str) -> tuple[float, float]:
        box = panel.get_by_role("option", name=text, exact=True).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    page.page.mouse.move(*place("heard"))
    page.page.mouse.down()
    page.page.mouse.move(*place("song"), steps=5)
    page.page.mouse.up()
    mouse = shot(page)
    keep(mouse, PICTURES / "part_by_mouse.jpg", (700, 1000))
    keep(mouse, HELP / "StepEdit_EditRange.jpg", (520, 900))
    for key in ("Escape", "Home", "ArrowRight", "ArrowRight", "Shift+ArrowRight"):
        page.page.keyboard.press(key)
    keep(shot(page), PICTURES / "part_by_keys.jpg", (700, 1000))
    run_once(page, server)
    panel.get_by_role("radio", name="After").wait_for()
    keep(shot(page), PICTURES / "part_after.jpg", (700, 1000))


def main() -> int:
    """Write the pictures."""
    with TemporaryDirectory() as folder:
        base = Path(folder)
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS)
        server = Server(base).start()
        try:
            with open_page(server.url, width=1500, height=1200) as page:
                take(page, server)
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
