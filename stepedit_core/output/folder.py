"""The folder a command leaves: waves, tokens and report.json, each written whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..audio.files import write_wav
from ..bundle.manifest import sha256_of
from ..files.terminal import table
from ..files.tokens import save_tokens
from ..files.whole import write_whole
from ..pipelines.best import best_round
from ..pipelines.plan import Plan
from ..registry.handle import Bundle
from ..types import Round
from .report import report_of, report_text

REPORT = "report.json"
OURS = re.compile(r"(round_\d+|clone|resynthesized)\.wav|tokens(_\d+)?\.safetensors|report\.json")
"""Names of the files that a run writes; no other file is ever replaced or removed."""


class RunFolder:
    """Collects finished rounds; after each one the folder is complete for what is done.

    The folder is made with the first round. Files that an earlier report there names are removed
    then, so rounds of two runs never mix; other files are left alone.
    """

    def __init__(
        self, folder: Path, source: str | Path, bundle: Bundle, plan: Plan | None, command: str
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise ValueError(
                f"--out {folder.name} is a file; expected is a folder. Name another place."
            )
        _check_input(folder, Path(source))
        self._folder, self._bundle, self._plan = folder, bundle, plan
        self._about = {"command": command}
        self._input = {"file": Path(source).name, "sha256": sha256_of(Path(source))}
        self._rounds: list[Round] = []
        self._files: list[tuple[str, str]] = []

    def add(self, made: Round, *, file: str = "") -> None:
        """Write a round's wave and tokens and list it; `file` names the wave."""
        number = len(self._rounds)
        if number == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._clear()
        wave = file or f"round_{number}.wav"
        tokens = "tokens.safetensors" if file else f"tokens_{number}.safetensors"
        write_wav(self._folder / wave, made.clip)
        save_tokens(made.codes, self._folder / tokens)
        self._rounds.append(made)
        self._files.append((wave, tokens))
        self._write(finished=False)

    def finish(self) -> str:
        """Mark the report as finished; the table for stdout."""
        self._write(finished=True)
        rows = []
        for number, (made, (wave, _)) in enumerate(zip(self._rounds, self._files, strict=True)):
            similarity = made.measures and f"{made.measures.similarity:.2f}"
            rows.append(
                (
                    str(number),
                    wave,
                    f"{made.clip.seconds:.2f}",
                    "-" if made.score is None else f"{made.score:.1f}",
                    similarity or "-",
                    f"{made.seconds_elapsed:.2f}",
                )
            )
        return table(("round", "file", "seconds", "score", "voice", "elapsed"), rows)

    def _write(self, *, finished: bool) -> None:
        best = best_round(self._rounds) if finished else None
        report = report_of(self._bundle, self._plan, self._rounds, best=best)
        report |= {**self._about, "input": self._input, "finished": finished}
        for entry, (wave, tokens) in zip(report["rounds"], self._files, strict=True):
            entry |= {"file": wave, "tokens_file": tokens}
        write_whole(self._folder / REPORT, report_text(report))

    def _clear(self) -> None:
        """Remove what an earlier report in this folder names."""
        path = self._folder / REPORT
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["rounds"]
            names = [row[key] for row in rows for key in ("file", "tokens_file")]
        except (OSError, ValueError, KeyError, TypeError):
            return
        for name in [*names, REPORT]:
            if isinstance(name, str) and OURS.fullmatch(name):
                (self._folder / name).unlink(missing_ok=True)


def _check_input(folder: Path, source: Path) -> None:
    """Raise ValueError for an input that this run would replace."""
    if source.resolve().parent == folder.resolve() and OURS.fullmatch(source.name):
        raise ValueError(
            f"'{source.name}' lies in --out {folder.name}, and this run replaces such files. "
            "Name another --out, or move the recording."
        )
