"""Fillers and repeats put into clean recordings, removed again, and what is left and lost.

Each clip gets one filler of a folder and one word said twice (the first time up to a tenth higher
and faster, or lower and slower), with pauses of 0.06 to 0.25 s around them. Every clip is also
cleaned as it is: what is removed there is a false alarm.

    python -m tools.removal --clips FOLDER --fillers FOLDER --recogniser FOLDER --out removal.jsonl

Words that the recogniser heard are kept in the file `--heard` so that a second run is quick.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from stepedit_core.audio.recordings import Recording, read_recording
from stepedit_core.audio.resample import resample
from stepedit_core.measure.timeline import Recogniser, Word
from stepedit_core.measure.whisper import WhisperRecogniser
from stepedit_core.pipelines.remove_words import Removal, RemovedWords, remove_words
from stepedit_core.text.disfluency import STUTTERED
from stepedit_core.text.units import bare
from stepedit_core.types import Clip

REMOVED = 0.8
"""Share of an insert that must be gone."""
LOST = 0.4
"""Share of a word's middle 60 % that may be gone before it counts as lost."""


@dataclass(frozen=True)
class Insert:
    """Sound that was put in, in seconds of the made clip."""

    kind: str
    text: str
    start: float
    end: float


def main() -> None:
    """Run all clips and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--fillers", type=Path, required=True)
    parser.add_argument("--recogniser", type=Path, required=True)
    parser.add_argument("--heard", type=Path, default=Path("heard.json"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the places, pauses and paces")
    args = parser.parse_args()
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(args.recogniser), device="cpu", compute_type="int8", cpu_threads=1)
    ears = Remembered(WhisperRecogniser(whisper, "en"), args.heard)
    fillers = [read_recording(path) for path in sorted(args.fillers.glob("*.wav"))]
    rows = []
    for number, path in enumerate(chosen(args.clips, args.count, args.skip)):
        clean = read_recording(path)
        words = ears.words(clean)
        draw = np.random.default_rng(args.seed + number)
        made, inserts, moved = spoiled(clean, words, fillers[number % len(fillers)], draw)
        heard = ears.words(made)
        which = Removal(fillers=True, repeats=True)
        out = remove_words(made, heard, which, ears=ears)
        alarm = remove_words(clean, words, which, ears=ears)
        after = ears.transcribe(out.recording.clip())
        row = judged(inserts, moved, out) | {
            "clip": path.stem,
            "false": [asdict(cut) for cut in alarm.cuts],
            "words": len(words),
            "before": " ".join(w.text for w in words),
            "heard": " ".join(f"{w.text}[{w.start:.2f}-{w.end:.2f}]" for w in heard),
            "after": " ".join(w.text for w in after),
            "missing": missing(words, after),
        }
        rows.append(row)
        print(path.stem, row["inserts"], row["lost"], row["false"], row["missing"], flush=True)
    args.out.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    print(table(rows))


class Remembered:
    """A recogniser whose words are kept in a file."""

    def __init__(self, ears: Recogniser, path: Path) -> None:
        self.ears, self.path = ears, path
        self.kept: dict[str, list[list[Any]]] = (
            json.loads(path.read_text()) if path.exists() else {}
        )

    def words(self, recording: Recording) -> tuple[Word, ...]:
        """The words of a recording."""
        return self.transcribe(recording.clip())

    def knows(self, clip: Clip) -> bool:
        """Whether the words of a clip are remembered."""
        return _name(clip) in self.kept

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        """The words of a clip, heard or remembered by the digest of its samples."""
        name = _name(clip)
        if name not in self.kept:
            heard = self.ears.transcribe(clip)
            self.kept[name] = [[w.text, w.start, w.end, w.confidence] for w in heard]
            self.path.write_text(json.dumps(self.kept))
        return tuple(Word(*row) for row in self.kept[name])

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        """Not remembered."""
        return self.ears.align(clip, transcript)


def _name(clip: Clip) -> str:
    return hashlib.sha256(clip.wave.numpy().tobytes()).hexdigest()[:16]


def chosen(folder: Path, count: int, skip: int) -> list[Path]:
    """Clips of 4 to 15 s, one of each speaker in turn."""
    by: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.flac")):
        if 4 <= soundfile.info(path).duration <= 15:
            by.setdefault(path.stem.split("-")[0], []).append(path)
    turns = [paths[n] for n in range(99) for paths in by.values() if n < len(paths)]
    return turns[skip : skip + count]


def spoiled(
    clean: Recording, words: tuple[Word, ...], filler: Recording, draw: np.random.Generator
) -> tuple[Recording, list[Insert], list[Word]]:
    """The clip with a filler and a repeat; what was put in; the words at their new times."""
    rate = clean.sample_rate
    wave = clean.clip().wave.numpy().astype(np.float64)
    power = np.convolve(wave**2, np.ones(800) / 800, "valid")[::80]
    quiet = int(power.argmin()) * 80
    tone = np.concatenate([wave[quiet : quiet + 800], wave[quiet : quiet + 800][::-1]])
    places = list(range(2, len(words) - 1))
    repeat = [
        n
        for n in places
        if bare(words[n].text) in STUTTERED and words[n].end - words[n].start > 0.08
    ]
    put: list[tuple[int, str, str, np.ndarray]] = []
    if repeat:
        n = int(draw.choice(repeat))
        part = wave[round(words[n].start * rate) : round(words[n].end * rate)]
        pace = float(draw.choice([0.9, 0.94, 1.06, 1.1]))
        part = resample(torch.from_numpy(part).float(), rate, int(rate * pace)).double().numpy()
        put.append((n, "repeat", words[n].text, part))
        places = [p for p in places if abs(p - n) > 1]
    n = int(draw.choice(places))
    sound = resample(filler.clip().wave, filler.sample_rate, rate).numpy().astype(np.float64)
    level = np.sqrt(np.mean(wave**2)) / np.sqrt(np.mean(sound**2))
    put.append((n, "filler", "um", sound * level))
    parts, at, inserts, shifts = [], 0, [], []
    for n, kind, text, sound in sorted(put, key=lambda one: one[0]):
        first = round(words[n].start * rate)
        before, after = (np.resize(tone, round(draw.uniform(0.06, 0.25) * rate)) for _ in "ab")
        edge = min(80, len(sound) // 4)
        sound = sound.copy()
        sound[:edge] *= np.linspace(0, 1, edge)
        sound[-edge:] *= np.linspace(1, 0, edge)
        parts += [wave[at:first], before, sound, after]
        start = sum(map(len, parts)) - len(after) - len(sound)
        inserts.append(Insert(kind, text, start / rate, (start + len(sound)) / rate))
        shifts.append((n, (len(before) + len(sound) + len(after)) / rate))
        at = first
    parts.append(wave[at:])
    made = torch.from_numpy(np.concatenate(parts)).float()[None]
    moved = []
    for k, word in enumerate(words):
        by = sum(more for n, more in shifts if k >= n)
        moved.append(Word(word.text, word.start + by, word.end + by, word.confidence))
    return Recording(samples=made, sample_rate=rate), inserts, moved


def judged(inserts: list[Insert], words: list[Word], out: RemovedWords) -> dict[str, Any]:
    """Which inserts are gone, and which words went with them."""

    def gone(start: float, end: float) -> float:
        inside = (min(end, cut.end) - max(start, cut.start) for cut in out.cuts)
        return sum(max(0.0, part) for part in inside) / (end - start)

    shares, spared = [], set()
    for insert in inserts:
        share = gone(insert.start, insert.end)
        if insert.kind == "repeat":  # either of the two may go, and one of them stays
            copy = next(n for n, w in enumerate(words) if w.start >= insert.end - 1e-6)
            other = gone(words[copy].start, words[copy].end)
            if other > share:
                share = other if share < 0.2 else 0.0
                spared.add(copy)
        shares.append((insert.kind, insert.text, round(share, 2)))
    lost = []
    for n, word in enumerate(words):
        rest = 0.2 * (word.end - word.start)
        if n not in spared and gone(word.start + rest, word.end - rest) > LOST:
            lost.append(word.text)
    return {"inserts": shares, "lost": lost, "cuts": [asdict(cut) for cut in out.cuts]}


def missing(before: tuple[Word, ...], after: tuple[Word, ...]) -> list[str]:
    """Words of the clean clip that the recogniser no longer hears after the removal."""
    ours, theirs = [bare(w.text) for w in before], [bare(w.text) for w in after]
    out = []
    for kind, a, a_end, b, b_end in SequenceMatcher(a=ours, b=theirs, autojunk=False).get_opcodes():
        if kind == "delete" or (kind == "replace" and b_end - b < a_end - a):
            out += ours[a:a_end]
    return out


def table(rows: list[dict[str, Any]]) -> str:
    """Shares over all clips."""
    lines = []
    for kind in ("filler", "repeat"):
        shares = [s for row in rows for k, _, s in row["inserts"] if k == kind]
        ok = sum(s >= REMOVED for s in shares)
        lines.append(f"{kind}: {ok} of {len(shares)} removed")
    words = sum(row["words"] for row in rows)
    lines.append(f"words lost: {sum(len(row['lost']) for row in rows)} of {words}")
    lines.append(f"no longer heard: {sum(len(row['missing']) for row in rows)} of {words}")
    lines.append(f"false cuts in clean clips: {sum(len(row['false']) for row in rows)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
