"""Charts as PNG files: bars and lines with whiskers, drawn with Pillow (ComfyUI brings it).

Pillow is imported when a chart is drawn; its absence names the pip line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .missing import pip_line
from .whole import write_whole

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

INK, GRID, PAPER = (34, 34, 40), (222, 222, 228), (255, 255, 255)
INKS = ((0, 98, 155), (190, 78, 0), (0, 122, 84), (140, 60, 140), (90, 90, 96), (170, 130, 0))
"""Line colours, told apart also by colour-blind eyes."""
MARK = ("Software", "StepEdit chart")
"""Text in a PNG: its key and value."""
Point = tuple[float, float, float, float]
"""x, y, lower and upper end of the whisker."""


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise ValueError(
            f"a chart needs Pillow, which is not installed. Run `{pip_line('pillow')}`, or leave "
            "the picture out."
        ) from error
    return PIL


def _text(
    draw: ImageDraw,
    at: tuple[float, float],
    words: str,
    anchor: str,
    ink: tuple[int, int, int] = INK,
) -> None:
    font = _pillow().ImageFont.load_default(13)
    draw.text(at, words, fill=ink, anchor=anchor, font=font)


def bars(rows: Sequence[tuple[str, float]], title: str, *, unit: str = "") -> Image:
    """Horizontal bars, one a row, with the value after each."""
    pil = _pillow()
    row, left, wide, above = 22, 190, 420, 40
    canvas = pil.Image.new("RGB", (left + wide + 110, above + row * len(rows) + 16), PAPER)
    draw = pil.ImageDraw.Draw(canvas)
    _text(draw, (12, above / 2), title, "lm")
    largest = max((value for _, value in rows), default=0.0) or 1.0
    for k, (name, value) in enumerate(rows):
        y = above + k * row
        _text(draw, (left - 8, y + row / 2), name, "rm")
        draw.rectangle((left, y + 4, left + wide * max(value, 0.0) / largest, y + row - 4), INKS[0])
        words = f"{value:g}{unit}"
        _text(draw, (left + wide * max(value, 0.0) / largest + 6, y + row / 2), words, "lm")
    return canvas  # type: ignore[no-any-return]


def lines(series: Mapping[str, Sequence[Point]], title: str, *, x_name: str, y_name: str) -> Image:
    """Joined points with whiskers; both axes run from the least to the largest value shown."""
    pil = _pillow()
    left, above, wide, tall, below = 70, 44, 480, 300, 60
    canvas = pil.Image.new("RGB", (left + wide + 190, above + tall + below), PAPER)
    draw = pil.ImageDraw.Draw(canvas)
    _text(draw, (12, above / 2), f"{title}: {y_name} against {x_name}", "lm")
    points = [point for line in series.values() for point in line]
    xs = _span([p[0] for p in points])
    ys = _span([v for p in points for v in p[1:]])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (x - xs[0]) / (xs[1] - xs[0]) * wide,
            above + tall - (y - ys[0]) / (ys[1] - ys[0]) * tall,
        )

    for k in range(5):
        x, y = (low + k / 4 * (high - low) for low, high in (xs, ys))
        draw.line([(left, place(x, y)[1]), (left + wide, place(x, y)[1])], fill=GRID)
        _text(draw, (left - 8, place(x, y)[1]), f"{y:.3g}", "rm")
        _text(draw, (place(x, y)[0], above + tall + 8), f"{x:.3g}", "ma")
    draw.rectangle((left, above, left + wide, above + tall), outline=INK)
    _text(draw, (left + wide / 2, above + tall + 34), x_name, "ma")
    for k, (name, line) in enumerate(series.items()):
        ink = INKS[k % len(INKS)]
        dots = [place(p[0], p[1]) for p in line]
        if len(dots) > 1:
            draw.line(dots, fill=ink, width=3)
        for point, dot in zip(line, dots, strict=True):
            draw.line([place(point[0], point[2]), place(point[0], point[3])], fill=ink)
            draw.ellipse((dot[0] - 4, dot[1] - 4, dot[0] + 4, dot[1] + 4), fill=ink)
        _text(draw, (left + wide + 14, above + 10 + 20 * k), name, "lm", ink)
    return canvas  # type: ignore[no-any-return]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Least and largest value, never equal."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def save_png(picture: Image, path: str | Path) -> None:
    """Write a picture that appears whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, png_of(picture))


def png_of(picture: Image) -> bytes:
    """A picture as a PNG file that says who drew it."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text(*MARK)
    raw = BytesIO()
    picture.save(raw, format="PNG", pnginfo=about)
    return raw.getvalue()


def is_chart(path: Path) -> bool:
    """Whether a file is a chart that `save_png` wrote."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    chunk = b"tEXt" + b"\0".join(word.encode() for word in MARK)
    return head.startswith(b"\x89PNG") and chunk in head
