"""Recordings of people with words that Whisper heard, for the recogniser: no times, no pitch.

Whisper's encoder gets each clip at its own length, not padded to 30 s, eight at once: a third of
the time. Its mean log-probability is kept, so that a training can leave out what was heard badly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recipes.nano.corpus.people import clip_at_24_khz, held_out, speaker_of
from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.vocoder import HOP

SOURCES = ("librispeech", "npvcc2016")
"""Folders with English speech of people, CC BY 4.0."""
BATCH = 8
LEAST_SAMPLES = 64_000
"""4 s: of a shorter input Whisper repeats a word without end."""
SHARD_CLIPS = 64


class Ears:
    """Whisper by CTranslate2, English, greedy, one thread."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer

        self.whisper: Any = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
        )
        self.tokens = Tokenizer(
            self.whisper.hf_tokenizer,
            self.whisper.model.is_multilingual,
            task="transcribe",
            language="en",
        )

    def __call__(self, waves: list[np.ndarray]) -> list[tuple[str, float]]:
        """Text and mean log-probability of each wave at 16 kHz, all of about the same length."""
        import ctranslate2

        most = max(LEAST_SAMPLES, *(len(wave) for wave in waves)) + 16_000
        mels = [self.whisper.feature_extractor(np.pad(w, (0, most - len(w)))) for w in waves]
        frames = min(3000, most // 160 // 2 * 2)
        stack = np.ascontiguousarray(np.stack([mel[:, :frames] for mel in mels]), np.float32)
        prompt = [*self.tokens.sot_sequence, self.tokens.no_timestamps]
        found = self.whisper.model.generate(
            ctranslate2.StorageView.from_array(stack),
            [prompt] * len(waves),
            beam_size=1,
            return_scores=True,
            max_length=200,
        )
        return [
            (self.tokens.decode(one.sequences_ids[0]).strip(), float(one.scores[0]))
            for one in found
        ]


def make_read(shard: Shard, number: int, real: Path, ears: Ears) -> bool:
    """One shard; False where all recordings are in earlier ones."""
    paths = [(f, p) for f in SOURCES for p in sorted((real / f).glob("*.flac"))]
    paths = paths[number * SHARD_CLIPS : (number + 1) * SHARD_CLIPS]
    clips = [(folder, path, *clip_at_24_khz(path)) for folder, path in paths]
    clips.sort(key=lambda clip: len(clip[3]))
    for first in range(0, len(clips), BATCH):
        batch = clips[first : first + BATCH]
        for (folder, path, wave, _), (text, sure) in zip(
            batch, ears([clip[3] for clip in batch]), strict=True
        ):
            speaker = speaker_of(folder, path.stem)
            record = {
                "id": f"{folder}-{path.stem}",
                "kind": "neutral",
                "text": text,
                "log_prob": round(sure, 3),
                "speaker": f"{folder}-{speaker}",
                "split": "dev" if held_out(folder, speaker) else "train",
            }
            shard.add(record, wave, np.zeros(len(wave) // HOP, np.float32), None)
    return bool(clips)
