"""Pictures of choosing words in Edit Range: by mouse, by keys, and before and after an edit.

    python -m tools.range_pictures

Runs ComfyUI with nano on the sample clip and writes docs/pictures/part_*.jpg, two strips of six
moments each (before, press, drag, chosen, running, result; the same by keys), and the picture of
the node's help. nano is given the words with their times, as Transcribe takes them.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image, ImageDraw, ImageFont

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
STRIP_BYTES = 240_000
CAPTION = 26
"""Pixels below each moment of a strip."""
POINTER = ((0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (12, 12))
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


def keep(
    picture: Image.Image, path: Path, most: tuple[int, int], *, size: int = MOST_BYTES
) -> None:
    """Write a picture of at most so many bytes."""
    picture = picture.copy()
    picture.thumbnail(most)
    picture.save(path, quality=80, optimize=True)
    if path.stat().st_size > size:
        raise RuntimeError(f"{path.name} has {path.stat().st_size} bytes")


class Strip:
    """Moments of the panel, one after the other."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.moments: list[tuple[str, Image.Image]] = []

    def add(self, caption: str, pointer: tuple[float, float] | None = None) -> None:
        """The panel as it is drawn now, with the mouse where it is."""
        self.page.page.wait_for_timeout(500)
        box = self.page.page.get_by_role("group", name=PANEL).bounding_box()
        left, top = int(box["x"]), int(box["y"])
        with Image.open(BytesIO(self.page.page.screenshot())) as whole:
            picture = whole.convert("RGB")
        if pointer is not None:
            corners = [(pointer[0] + x, pointer[1] + y) for x, y in POINTER]
            ImageDraw.Draw(picture).polygon(corners, fill="white", outline="black")
        right, bottom = left + int(box["width"]), top + int(box["height"])
        number = len(self.moments) + 1
        self.moments.append((f"{number}  {caption}", picture.crop((left, top, right, bottom))))

    def picture(self, columns: int = 2) -> Image.Image:
        """All moments, captions below them."""
        wide = max(one.width for _, one in self.moments)
        tall = max(one.height for _, one in self.moments) + CAPTION
        rows = -(-len(self.moments) // columns)
        made = Image.new("RGB", (columns * (wide + 12), rows * (tall + 8)), "#111")
        pen = ImageDraw.Draw(made)
        for place, (caption, one) in enumerate(self.moments):
            x, y = (place % columns) * (wide + 12) + 6, (place // columns) * (tall + 8) + 4
            made.paste(one, (x, y))
            at = (x + 4, y + one.height + 4)
            pen.text(at, caption, fill="white", font=ImageFont.load_default(16))
        return made


def run_shown(page: Page, server: Server, strip: Strip) -> None:
    """Run, with a picture while it runs and one of its result."""
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    panel = page.page.get_by_role("group", name=PANEL)
    panel.get_by_text("round 1 of").wait_for(timeout=600_000)
    strip.add("running")
    while len(server.get("/history")) == count:
        page.page.wait_for_timeout(300)
    panel.get_by_role("radio", name="After").wait_for(timeout=60_000)
    page.page.wait_for_timeout(1000)
    strip.add("result: before and after, the change in orange")


def take(page: Page, server: Server) -> None:
    """Listen, choose by mouse, edit; choose by keys, edit."""
    built(page, GRAPH)
    size = page.page.viewport_size
    page.evaluate(FIT, [size["width"], size["height"]])
    page.page.add_style_tag(content=ONLY_GRAPH)
    strip = Strip(page)
    run_once(page, server)
    panel = page.page.get_by_role("group", name=PANEL)

    def place(text: str) -> tuple[float, float]:
        box = panel.get_by_role("option", name=text, exact=True).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    mouse = page.page.mouse
    mouse.move(*place("heard"))
    strip.add("before: the words of the recording", place("heard"))
    mouse.down()
    mouse.move(place("heard")[0] + 4, place("heard")[1])
    strip.add("press on a word", place("heard"))
    mouse.move(*place("a"), steps=4)
    strip.add("drag", place("a"))
    mouse.move(*place("song"), steps=4)
    mouse.up()
    strip.add("chosen", place("song"))
    by_mouse = shot(page)
    keep(by_mouse, PICTURES / "part_by_mouse.jpg", (700, 1000))
    keep(by_mouse, HELP / "StepEdit_EditRange.jpg", (520, 900))
    run_shown(page, server, strip)
    keep(strip.picture(), PICTURES / "choosing_by_mouse.jpg", (1400, 2000), size=STRIP_BYTES)
    keep(shot(page), PICTURES / "part_after.jpg", (700, 1000))
    strip = Strip(page)
    panel.get_by_role("radio", name="Before").click()
    panel.get_by_role("listbox").focus()
    strip.add("Tab: the words have the focus")
    for keys, caption in (
        (("Escape", "Home"), "Escape clears, Home: the first word"),
        (("ArrowRight", "ArrowRight"), "Right, Right"),
        (("Shift+ArrowRight",), "Shift + Right: one word more"),
    ):
        for key in keys:
            page.page.keyboard.press(key)
        strip.add(caption)
    keep(shot(page), PICTURES / "part_by_keys.jpg", (700, 1000))
    run_shown(page, server, strip)
    keep(strip.picture(), PICTURES / "choosing_by_keys.jpg", (1400, 2000), size=STRIP_BYTES)


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
