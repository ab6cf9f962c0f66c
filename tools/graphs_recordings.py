"""The shipped workflows on recordings: some words, any length, cuts, many lines; see graphs.py.

They give the times of their words themselves, so they run where nothing can hear.
"""

from __future__ import annotations

from typing import Any

from tests.server.comfyui import PACK
from tools.graphs import EDITS, PLAYERS, RUNS, SEED, clip, emotion_edit, model, node, note, play

SAMPLES = PACK / "stepedit_core/assets/samples"
LISTENER = 1400
YOURS = (
    "**Your own recording:** choose it in *Load Audio* and empty the text of *Transcribe*: then "
    "it hears the words, where a recogniser is there (the help page of *Transcribe* says how). "
    "You can also type lines of start, end and word.\n\n**Model:** *nano* is part of the pack. "
    "Nothing is downloaded."
)


def heard(name: str, at: tuple[int, int]) -> dict[str, Any]:
    """Transcribe with the known times of a recording's words."""
    times = (SAMPLES / f"{name}.times.txt").read_text("utf-8").strip()
    return node("heard", "StepEdit_Transcribe", at, widgets={"text": times}, size=[400, 340])


def words(title: str, at: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """Core's view of a text."""
    return node(title, "PreviewAny", at, title=title, size=list(size))


HEARD = [
    ("model", "model", "heard", "model"),
    ("clip", "AUDIO", "heard", "audio"),
]
CLEAN = "without fillers and long pauses"
SCRIPT = """id,start,end,text,edits
calm,12.5,16.7,"Some nights the sea was calm, and the ships moved like slow stars.",emotion:sad
storm,17.1,21.2,"Other nights the wind shook the windows, and nobody could sleep.",emotion:excited
light,21.8,24,But the light was never late.,emotion:angry rounds=2"""

RECORDINGS: dict[str, dict[str, Any]] = {
    "07 Change three words": {
        "nodes": [
            note(
                "## Change three words\n\nOnly *heard a song* is edited; every other sample of the "
                "clip stays as it is, at its own rate and channels.\n\n**Other words:** after a "
                "run, drag over words or the waveform inside *Edit Range* and run again; or type "
                "them as *phrase*. Equal *start* and *end* without a phrase only listens.\n\n"
                f"{YOURS}",
                (380, 480),
            ),
            model((EDITS, 0)),
            clip((EDITS, 260), "walking_home.wav"),
            emotion_edit("excited"),
            heard("walking_home", (RUNS, 0)),
            node(
                "range", "StepEdit_EditRange", (LISTENER, 0), size=[460, 900],
                widgets={"phrase": "heard a song", "rounds": 2, "seed": SEED},
            ),
            play((1960, 0), "the clip, three words changed", "stepedit_words", (360, 220)),
        ],
        "links": [
            *HEARD,
            ("model", "model", "range", "model"),
            ("clip", "AUDIO", "range", "audio"),
            ("emotion", "edit", "range", "edit"),
            ("heard", "words", "range", "words"),
            ("range", "audio", "playthe clip, three words changed", "audio"),
        ],
        "card": "playthe clip, three words changed",
    },
    "08 Long narration": {
        "nodes": [
            note(
                "## Long narration\n\nA recording of any length in one run: *Edit Long* cuts it in "
                "pauses into pieces of 5 to 10 s and edits each in its own voice. The bar counts "
                "pieces. Cancel, run again: it continues.\n\nThe text at the right says what was "
                "done with each piece. One whose answer does not fit stays as recorded.\n\n"
                f"{YOURS}",
                (380, 480),
            ),
            model((EDITS, 0)),
            clip((EDITS, 260), "lighthouse.flac"),
            emotion_edit("sad"),
            heard("lighthouse", (RUNS, 0)),
            node(
                "long", "StepEdit_EditLong", (LISTENER, 0), size=[420, 560],
                widgets={"rounds": 1, "seed": SEED},
            ),
            play((1920, 0), "the narration, sad", "stepedit_long", (360, 220)),
            words("pieces", (1920, 420), (420, 260)),
        ],
        "links": [
            *HEARD,
            ("model", "model", "long", "model"),
            ("clip", "AUDIO", "long", "audio"),
            ("emotion", "edit", "long", "edit"),
            ("heard", "words", "long", "words"),
            ("long", "audio", "playthe narration, sad", "audio"),
            ("long", "pieces", "pieces", "source"),
        ],
        "card": "playthe narration, sad",
        "before": ("lighthouse.flac", 0, 60),
    },
    "09 Clean fillers and pauses": {
        "nodes": [
            note(
                "## Clean fillers and pauses\n\n*Remove Words* cuts um and uh, starts that are "
                "said twice, and makes pauses of more than 0.6 s shorter. Nothing is spoken "
                "anew: every other sample stays as it is. The text at the right says what went."
                "\n\n**Words of your choice:** type them into the node, a phrase on each line.\n\n"
                f"{YOURS}",
                (380, 480),
            ),
            model((EDITS, 0)),
            clip((EDITS, 260), "friday.flac"),
            heard("friday", (RUNS, 0)),
            node(
                "remove", "StepEdit_RemoveWords", (LISTENER, 0), size=[420, 520],
                widgets={"longest_pause": 0.6},
            ),
            play((1920, 0), CLEAN, "stepedit_clean_words", (360, 220)),
            words("cuts", (1920, 420), (420, 260)),
        ],
        "links": [
            *HEARD,
            ("clip", "AUDIO", "remove", "audio"),
            ("heard", "words", "remove", "words"),
            ("remove", "audio", f"play{CLEAN}", "audio"),
            ("remove", "cuts", "cuts", "source"),
        ],
        "card": f"play{CLEAN}",
        "before": ("friday.flac", 0, 60),
    },
    "10 Script of lines": {
        "nodes": [
            note(
                "## A script of lines\n\nEach line of *Script* is a part of the recording with its "
                "words and edits. A file of each is written into the folder *output/stepedit/"
                "lighthouse*. Change one line and run again: only that file is made anew, all "
                "others stay byte for byte.\n\nCSV, JSON lines and SRT are read; the help page of "
                "*Script* has all columns.\n\n**Your own recording:** choose it in *Load Audio*, "
                "or name files of the input folder in a column *file*.\n\n**Model:** *nano* is "
                "part of the pack. Nothing is downloaded.",
                (380, 480),
            ),
            model((EDITS, 0)),
            clip((EDITS, 260), "lighthouse.flac"),
            node(
                "script", "StepEdit_Script", (RUNS, 0), size=[560, 560],
                widgets={"script": SCRIPT, "folder": "stepedit/lighthouse", "seed": SEED},
            ),
            play((PLAYERS + 140, 0), "every line", size=(360, 330)),
            words("lines", (PLAYERS + 140, 640), (420, 260)),
        ],
        "links": [
            ("model", "model", "script", "model"),
            ("clip", "AUDIO", "script", "audio"),
            ("script", "audio", "playevery line", "audio"),
            ("script", "lines", "lines", "source"),
        ],
        "card": "playevery line",
        "before": ("lighthouse.flac", 21.8, 24),
    },
}  # fmt: skip
"""As graphs.WORKFLOWS; `before` is a recording and its seconds, where it is not the usual clip."""
