"""AUDIO to clips and back: {"waveform": (B, C, N) float32 on the CPU, "sample_rate": Hz}."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folder_paths

from ...stepedit_core.files.reading import said_of
from ...stepedit_core.printable import shown
from ...stepedit_core.types import Clip

if TYPE_CHECKING:
    from torch import Tensor

    from ...stepedit_core.audio.recordings import Recording

log = logging.getLogger(__name__)

PREVIEWS = "stepedit"
"""Folder below temp with the clips of the listening panel."""
PANEL = "stepedit_rounds"
"""Key under which Iterative Edit tells the listening panel of its rounds."""
RANGE = "stepedit_range"
"""Key under which Edit Range tells its panel of the recording before and after."""


def clips(audio: dict[str, Any] | None) -> list[Clip]:
    """One checked mono clip per batch item of an AUDIO, at its own rate; channels are mixed."""
    from ...stepedit_core.audio.clips import mono_clip

    waveform, rate = _batch(audio)
    found = []
    for number, item in enumerate(waveform, start=1):
        try:
            found.append(mono_clip(item, rate))
        except ValueError as error:
            if len(waveform) == 1:
                raise
            raise ValueError(
                f"of {len(waveform)} clips number {number} cannot be used: {shown(error)}"
            ) from None
    return found


def recording(audio: dict[str, Any] | None) -> Recording:
    """The one recording of an AUDIO, of any length, with its own rate and channels."""
    from ...stepedit_core.audio.recordings import recording_of

    waveform, rate = _batch(audio)
    if len(waveform) > 1:
        raise ValueError(
            f"the audio is a batch of {len(waveform)} recordings; this node works on one at a "
            "time. Connect one, or a list of them."
        )
    return recording_of(waveform[0], rate)


def _batch(audio: dict[str, Any] | None) -> tuple[Tensor, Any]:
    """Samples (B, C, N) of an AUDIO as float32 on the CPU, and its rate as it is given."""
    from ...stepedit_core.audio.clips import float_samples

    if audio is None:
        raise ValueError("there is no audio; one recording is needed. Connect a clip with sound.")
    if not isinstance(audio, Mapping) or not {"waveform", "sample_rate"} <= set(audio):
        raise ValueError(
            f"the audio is of the type {type(audio).__name__} without waveform and sample_rate; "
            "both are needed. Take the clip from another node, for example Load Audio."
        )
    waveform = float_samples(audio["waveform"])
    if waveform.ndim != 3:
        raise ValueError(
            f"the audio has {waveform.ndim} dimensions; batch, channels and samples are expected. "
            "Take the clip from another node, for example Load Audio."
        )
    if not len(waveform):
        raise ValueError("the audio is a batch of 0 clips; 1 or more are needed. Connect a clip.")
    return waveform, audio["sample_rate"]


def audio(clip: Clip) -> dict[str, Any]:
    """AUDIO of one clip: waveform (1, 1, N) float32 on the CPU."""
    return {"waveform": clip.wave.float().cpu()[None, None], "sample_rate": clip.sample_rate}


def whole_audio(recording: Recording) -> dict[str, Any]:
    """AUDIO of a recording: waveform (1, C, N) float32, with its own rate and channels."""
    from ...stepedit_core.audio.clips import float_samples

    return {
        "waveform": float_samples(recording.samples)[None],
        "sample_rate": recording.sample_rate,
    }


def as_file(recording: Recording) -> Path:
    """A recording as a file below temp, for what reads files; equal samples get one file."""
    from ...stepedit_core.audio.recordings import write_recording
    from ...stepedit_core.files.whole import ready_folder

    facts = f"{recording.sample_rate} {tuple(recording.samples.shape)}"
    digest = hashlib.sha256(recording.samples.contiguous().numpy().tobytes() + facts.encode())
    folder = Path(folder_paths.get_temp_directory(), PREVIEWS)
    ready_folder(folder)
    path = folder / f"{digest.hexdigest()[:24]}.wav"
    if not path.exists():
        write_recording(path, recording)
    return path


def preview(clip: Clip) -> dict[str, str]:
    """A clip as a file for the browser; equal samples get one file."""
    import soundfile

    from ...stepedit_core.files.whole import ready_folder, write_whole

    wave = clip.wave.clamp(-1, 1).float().cpu().contiguous().numpy()
    digest = hashlib.sha256(wave.tobytes()).hexdigest()[:24]
    folder = Path(folder_paths.get_temp_directory(), PREVIEWS)
    ready_folder(folder)
    path = folder / f"{digest}.flac"
    if not path.exists():
        raw = io.BytesIO()
        soundfile.write(raw, wave, clip.sample_rate, format="FLAC", subtype="PCM_16")
        write_whole(path, raw.getvalue())
    return {"filename": path.name, "subfolder": PREVIEWS, "type": "temp"}


def preview_if_possible(clip: Clip) -> tuple[dict[str, str] | None, str]:
    """As preview, and ""; None and why, where no file can be written: the clip is worth more."""
    try:
        return preview(clip), ""
    except (OSError, ValueError) as error:
        log.warning("StepEdit: a round cannot be played in the node: %s", shown(said_of(error)))
        return None, shown(said_of(error))
