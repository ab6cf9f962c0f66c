"""The folder a command leaves: waves, tokens and report.json, each written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .. import __version__
from ..audio.files import write_wav
from ..bundle.manifest import sha256_of
from ..files.strict import to_json
from ..files.terminal import table
from ..files.tokens import save_tokens
from ..registry.registry import Bundle
from ..types import EditRequest, Round
from ..vocab import GROUP

REPORT = "report.json"


class Report:
    """Collects finished rounds; after each one the folder is complete for what is done.

    The folder is made with the first round. Files that an earlier report there names are removed
    then, so rounds of two runs never mix; other files are left alone.
    """

    def __init__(
        self, folder: Path, source: str | Path, bundle: Bundle, command: str, seed: int
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise ValueError(
                f"--out {folder.name} is a file; a folder is wanted. Name another place."
            )
        self._folder = folder
        self._rounds: list[dict[str, Any]] = []
        self._data: dict[str, Any] = {
            "stepedit": __version__,
            "command": command,
            "bundle": {"name": bundle.name, "sha256": bundle.sha256},
            "seed": seed,
            "device": str(bundle.device),
            "precision": bundle.precision,
            "input": {"file": Path(source).name, "sha256": sha256_of(Path(source))},
            "finished": False,
            "rounds": self._rounds,
        }

    def about(self, *, request: EditRequest | None = None, **values: str) -> None:
        """Add facts of the whole run."""
        self._data.update(values)
        if request is not None:
            self._data["request"] = to_json(request)

    def add(self, done: Round, *, file: str = "") -> Round:
        """Write a round's wave and tokens and list it; round 0 is named first."""
        number = len(self._rounds)
        if number == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._clear()
        wave = file or f"round_{number}.wav"
        tokens = "tokens.safetensors" if file else f"tokens_{number}.safetensors"
        write_wav(self._folder / wave, done.clip)
        save_tokens(done.codes, self._folder / tokens)
        self._rounds.append(
            {
                "round": number,
                "file": wave,
                "tokens_file": tokens,
                "tokens": done.tokens,
                "text": done.text,
                "seconds": round(done.clip.seconds, 3),
                "ids": GROUP * done.codes.groups,
                "score": None if done.score is None else round(done.score, 3),
                "elapsed_seconds": round(done.seconds_elapsed, 3),
                "stage_seconds": {k: round(v, 3) for k, v in done.stage_seconds.items()},
            }
        )
        self._write()
        return done

    def finish(self) -> str:
        """Mark the report as finished; the table for stdout."""
        self._data["finished"] = True
        self._write()
        rows = [
            (
                str(row["round"]),
                row["file"],
                f"{row['seconds']:.2f}",
                str(row["ids"]),
                "-" if row["score"] is None else f"{row['score']:.1f}",
                f"{row['elapsed_seconds']:.2f}",
            )
            for row in self._rounds
        ]
        return table(("round", "file", "seconds", "ids", "score", "elapsed"), rows)

    def _write(self) -> None:
        part = self._folder / f".{REPORT}.{os.getpid()}.part"
        try:
            part.write_text(
                json.dumps(self._data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            part.replace(self._folder / REPORT)
        finally:
            part.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove what an earlier report in this folder names."""
        path = self._folder / REPORT
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["rounds"]
            names = [row[key] for row in rows for key in ("file", "tokens_file")]
        except (OSError, ValueError, KeyError, TypeError):
            return
        for name in [*names, REPORT]:
            if isinstance(name, str) and Path(name).name == name:
                (self._folder / name).unlink(missing_ok=True)
