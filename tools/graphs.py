"""What the shipped workflows and blueprints are: nodes, places, widget values, links.

`python -m tools.save_workflows` makes the files of them. Places leave room for Nodes 2.0, whose
nodes are taller, and for what grows in a run; tests/browser/test_layout.py looks at both.
"""

from __future__ import annotations

from typing import Any

from tests.server.comfyui import PACK

WORDS = (PACK / "stepedit_core/assets/samples/walking_home.txt").read_text("utf-8").strip()
CLIP = "walking_home.wav"
SEED = 7
ORIGINAL = "stay with the original"


def node(key: str, type_: str, at: tuple[int, int], **more: Any) -> dict[str, Any]:
    """One node of a description."""
    return {"key": key, "type": type_, "at": list(at), **more}


def note(text: str, size: tuple[int, int], at: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """The note of a workflow."""
    return node("note", "MarkdownNote", at, widgets={"": text}, size=list(size), title="Read me")


def clip(at: tuple[int, int], name: str = CLIP) -> dict[str, Any]:
    """Core's Load Audio with a shipped recording."""
    return node("clip", "LoadAudio", at, widgets={"audio": f"stepedit_{name}"}, size=[300, 140])


def model(at: tuple[int, int]) -> dict[str, Any]:
    """The loader."""
    return node("model", "StepEdit_LoadModel", at, widgets={"bundle": "nano"}, size=[300, 150])


def play(
    at: tuple[int, int], title: str, file: str = "", size: tuple[int, int] = (360, 330)
) -> dict[str, Any]:
    """Our player; with the start of a file name it also writes WAV."""
    widgets = {"format": "wav", "filename_prefix": f"audio/{file}"} if file else {}
    return node(
        "play" + title, "StepEdit_PlayAndSave", at, title=title, widgets=widgets, size=list(size)
    )


USE_YOURS = (
    "**Your own clip:** choose it in *Load Audio* (0.5 to 30 s) and type the words that are spoken "
    "in it where the words of this one stand.\n\n**Model:** *nano* is part of the pack. Nothing is "
    "downloaded."
)
LEFT, EDITS, RUNS, PLAYERS, PICTURES = 0, 460, 880, 1400, 1860
"""Columns of the canvas: note, what goes in, the runs, what plays, what is drawn."""


def source(emotion: str = "") -> list[dict[str, Any]]:
    """Model and clip, and an emotion below them."""
    nodes = [model((EDITS, 0)), clip((EDITS, 260))]
    if emotion:
        nodes.append(emotion_edit(emotion))
    return nodes


def emotion_edit(option: str) -> dict[str, Any]:
    """The edit."""
    widgets = {"emotion": option}
    return node("emotion", "StepEdit_Emotion", (EDITS, 520), widgets=widgets, size=[300, 220])


def rounds_of(count: int, key: str = "edit", at: tuple[int, int] = (RUNS, 0)) -> dict[str, Any]:
    """Iterative Edit with so many rounds."""
    return node(
        key,
        "StepEdit_IterativeEdit",
        at,
        size=[420, 680],
        widgets={"text": WORDS, "rounds": count, "voice": ORIGINAL, "seed": SEED},
    )


WORKFLOWS: dict[str, dict[str, Any]] = {
    "01 Excited, round by round": {
        "nodes": [
            note(
                "## Excited, round by round\n\nThe clip is edited three times; every round builds "
                "on the one before. Listen inside *Iterative Edit*: keys 0 to 3 switch rounds at "
                "the same moment. The chart shows how strong each round is and where its pitch "
                "went.\n\n**Another emotion:** change *Emotion*; sad and angry are heard well too. "
                "**Stronger, but further from the voice:** let *voice* follow the previous "
                f"round.\n\n{USE_YOURS}",
                (380, 460),
            ),
            *source("excited"),
            rounds_of(3),
            play((PLAYERS, 0), "every round"),
            play((PLAYERS, 560), "the best, as a file", "stepedit", (360, 220)),
            node("chart", "PreviewImage", (PICTURES, 0), title="chart", size=[420, 330]),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("emotion", "edit", "edit", "edit"),
            ("edit", "rounds", "playevery round", "audio"),
            ("edit", "best", "playthe best, as a file", "audio"),
            ("edit", "chart", "chart", "images"),
        ],
        "card": "playevery round",
    },
    "02 Every stage a node": {
        "nodes": [
            note(
                "## Every stage is a node\n\n1. *Tokenize Speech* writes the clip down as tokens "
                "and as a voice.\n2. *Emotion* says what to change.\n3. *Generate Tokens*: the "
                "language model writes the edited tokens.\n4. *Flow Decode* turns them into a mel "
                "spectrogram.\n5. *Vocode* turns that into sound.\n6. *Margin Score* says how "
                "strongly the edit came out, 1 to 10.\n\nWith one seed in all nodes this is one "
                f"round of *Iterative Edit*.\n\n{USE_YOURS}",
                (380, 520),
            ),
            *source("excited"),
            node("tokenize", "StepEdit_TokenizeSpeech", (RUNS, 0), size=[300, 80]),
            node(
                "generate", "StepEdit_GenerateTokens", (RUNS, 200), size=[360, 420],
                widgets={"text": WORDS, "seed": SEED},
            ),
            node("flow", "StepEdit_FlowDecode", (1320, 0), size=[300, 250], widgets={"seed": SEED}),
            node("vocode", "StepEdit_Vocode", (1320, 380), size=[300, 160], widgets={"seed": SEED}),
            node("score", "StepEdit_MarginScore", (1320, 640), size=[300, 130]),
            node("picture", "StepEdit_MelPicture", (1700, 0), size=[300, 50]),
            node("shown", "PreviewImage", (2120, 0), title="mel", size=[400, 300]),
            play((1700, 180), "the edited clip", "stepedit_stages", (360, 220)),
            node(
                "tokens", "StepEdit_SaveTokens", (2120, 480), size=[340, 90],
                widgets={"filename_prefix": "stepedit/tokens"},
            ),
            node("words", "PreviewAny", (1700, 640), title="score", size=[300, 140]),
        ],
        "links": [
            ("model", "model", "tokenize", "model"),
            ("clip", "AUDIO", "tokenize", "audio"),
            ("model", "model", "generate", "model"),
            ("tokenize", "tokens", "generate", "tokens"),
            ("emotion", "edit", "generate", "edit"),
            ("model", "model", "flow", "model"),
            ("generate", "tokens", "flow", "tokens"),
            ("tokenize", "voice", "flow", "voice"),
            ("model", "model", "vocode", "model"),
            ("flow", "mel", "vocode", "mel"),
            ("model", "model", "score", "model"),
            ("tokenize", "tokens", "score", "source_tokens"),
            ("generate", "tokens", "score", "edited_tokens"),
            ("emotion", "edit", "score", "edit"),
            ("flow", "mel", "picture", "mel"),
            ("picture", "image", "shown", "images"),
            ("vocode", "audio", "playthe edited clip", "audio"),
            ("score", "text", "words", "source"),
            ("generate", "tokens", "tokens", "tokens"),
        ],
        "card": "playthe edited clip",
    },
    "03 Two feelings side by side": {
        "nodes": [
            note(
                "## Two feelings side by side\n\nOne clip, two edits that know nothing of each "
                "other: excited above, sad below, two rounds each. Listen to the two players one "
                "after the other.\n\n**For the released model** (*docs/results.md* says what nano "
                "cannot do): new words in the voice of the clip, with *Clone Voice*; laughter and "
                f"sighs, with *Non-verbal Sounds*.\n\n{USE_YOURS}",
                (380, 440),
            ),
            *source("excited"),
            node(
                "sad", "StepEdit_Emotion", (EDITS, 900), widgets={"emotion": "sad"},
                size=[300, 220],
            ),
            rounds_of(2),
            rounds_of(2, "second", (RUNS, 900)),
            play((PLAYERS, 0), "excited", "stepedit_excited", (360, 220)),
            play((PLAYERS, 900), "sad", "stepedit_sad", (360, 220)),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("emotion", "edit", "edit", "edit"),
            ("model", "model", "second", "model"),
            ("clip", "AUDIO", "second", "audio"),
            ("sad", "edit", "second", "edit"),
            ("edit", "best", "playexcited", "audio"),
            ("second", "best", "playsad", "audio"),
        ],
        "card": "playexcited",
    },
    "04 Sad, then slower": {
        "nodes": [
            note(
                "## Two edits in a row\n\n*Emotion* and *Speed* make one list: two rounds of sad, "
                "then slower. *Iterative Edit* applies them in this order; its list *rounds* has "
                "the input and every result.\n\nSpeed is made by signal processing with *nano*: it "
                "keeps every word, and a second round slows the clip down once more. The "
                f"released model speaks it anew.\n\n{USE_YOURS}",
                (380, 440),
            ),
            *source("sad"),
            node(
                "speed", "StepEdit_Speed", (EDITS, 860), widgets={"speed": "slower"},
                size=[300, 260],
            ),
            rounds_of(2),
            play((PLAYERS, 0), "every round", size=(360, 330)),
            play((PLAYERS, 640), "the last, as a file", "stepedit_chain", (360, 220)),
            node("chart", "PreviewImage", (PICTURES, 0), title="chart", size=[420, 330]),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("emotion", "edit", "speed", "edit"),
            ("speed", "edit", "edit", "edit"),
            ("edit", "rounds", "playevery round", "audio"),
            ("edit", "final", "playthe last, as a file", "audio"),
            ("edit", "chart", "chart", "images"),
        ],
        "card": "playevery round",
    },
    "05 No pauses, another pace": {
        "nodes": [
            note(
                "## Fit a take to the picture\n\n*Remove Silence* takes the pauses out, then "
                "*Speed* makes the take faster. With *nano* both are signal processing: voice and "
                "words stay. In *Speed*, *fit to seconds* gives an exact length.\n\n**A noisy "
                "clip:** select *Denoise* and press Ctrl+B, it is bypassed here. It needs one "
                "package; the node says which line installs it.\n\nBypass any edit you do not "
                f"need, the rest still runs.\n\n{USE_YOURS}",
                (380, 480),
            ),
            *source(),
            node("denoise", "StepEdit_Denoise", (EDITS, 520), size=[300, 100], mode=4),
            node("silence", "StepEdit_RemoveSilence", (EDITS, 740), size=[300, 100]),
            node(
                "speed", "StepEdit_Speed", (EDITS, 960), widgets={"speed": "faster"},
                size=[300, 260],
            ),
            rounds_of(1),
            play((PLAYERS, 0), "the input, without pauses, faster"),
            play((PLAYERS, 560), "the result, as a file", "stepedit_clean", (360, 220)),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("denoise", "edit", "silence", "edit"),
            ("silence", "edit", "speed", "edit"),
            ("speed", "edit", "edit", "edit"),
            ("edit", "rounds", "playthe input, without pauses, faster", "audio"),
            ("edit", "final", "playthe result, as a file", "audio"),
        ],
        "card": "playthe input, without pauses, faster",
    },
    "06 Compare rounds, keep the best": {
        "nodes": [
            note(
                "## Compare rounds, keep the best\n\nMore rounds are not always better. Run, "
                "click into the list of rounds and switch with the keys 0 to 4: the sound "
                "continues at the same moment. *Score* says how strong the edit is, *Voice* how "
                "much it is still the same person. Click the star of the round you like (or "
                "press B) and run again: nothing is made anew, the output *best* gives that "
                f"round.\n\n{USE_YOURS}",
                (380, 460),
            ),
            *source("sad"),
            rounds_of(4),
            play((PLAYERS, 0), "the best, as a file", "stepedit_best", (360, 220)),
            node("scores", "PreviewAny", (PLAYERS, 420), title="scores", size=[360, 160]),
            node("chart", "PreviewImage", (PICTURES, 0), title="chart", size=[420, 330]),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("emotion", "edit", "edit", "edit"),
            ("edit", "best", "playthe best, as a file", "audio"),
            ("edit", "scores", "scores", "source"),
            ("edit", "chart", "chart", "images"),
        ],
        "card": "playthe best, as a file",
    },
}  # fmt: skip
"""By title, which is the name of the file and of its card; `card` is the player of the after."""

OUTSIDE = ["LoadAudio", "PreviewAudio", "PreviewImage"]
"""Around a blueprint while it is built, so that its sockets come out as they should."""
BLUEPRINTS: dict[str, dict[str, Any]] = {
    "Change the emotion of speech": {
        "nodes": [
            clip((-400, 0)),
            model((0, 0)),
            node("emotion", "StepEdit_Emotion", (0, 170), widgets={"emotion": "happy"}),
            node(
                "edit", "StepEdit_IterativeEdit", (350, 0), size=[400, 600],
                widgets={"text": "", "rounds": 1, "voice": ORIGINAL, "seed": SEED},
            ),
            node("best", "PreviewAudio", (800, 0)),
            node("rounds", "PreviewAudio", (800, 200)),
            node("chart", "PreviewImage", (800, 400)),
        ],
        "links": [
            ("clip", "AUDIO", "edit", "audio"),
            ("model", "model", "edit", "model"),
            ("emotion", "edit", "edit", "edit"),
            ("edit", "best", "best", "audio"),
            ("edit", "rounds", "rounds", "audio"),
            ("edit", "chart", "chart", "images"),
        ],
        "widgets": [
            ("StepEdit_Emotion", "emotion"),
            ("StepEdit_IterativeEdit", "text"),
            ("StepEdit_IterativeEdit", "rounds"),
            ("StepEdit_IterativeEdit", "seed"),
        ],
    },
    "Clean up speech": {
        "nodes": [
            clip((-400, 0)),
            model((0, 0)),
            node("denoise", "StepEdit_Denoise", (0, 170)),
            node("silence", "StepEdit_RemoveSilence", (0, 290)),
            node(
                "edit", "StepEdit_IterativeEdit", (350, 0), size=[400, 600],
                widgets={"text": "", "rounds": 1, "voice": ORIGINAL, "seed": SEED},
            ),
            node("final", "PreviewAudio", (800, 0)),
        ],
        "links": [
            ("clip", "AUDIO", "edit", "audio"),
            ("model", "model", "edit", "model"),
            ("denoise", "edit", "silence", "edit"),
            ("silence", "edit", "edit", "edit"),
            ("edit", "final", "final", "audio"),
        ],
        "widgets": [("StepEdit_IterativeEdit", "seed")],
    },
}  # fmt: skip

ONLY_IN_HELP: dict[str, Any] = {
    "nodes": [
        node("words", "StepEdit_NewWords", (0, 0), size=[400, 160]),
        node("style", "StepEdit_SpeakingStyle", (1500, 0), size=[300, 260]),
        node("sounds", "StepEdit_NonverbalSounds", (1500, 360), size=[300, 360]),
        node("clone", "StepEdit_CloneVoice", (2000, 0), size=[400, 440]),
        node("tokens", "StepEdit_LoadTokens", (500, 0), size=[400, 80]),
        node("triplets", "StepEdit_TripletBuilder", (0, 260), size=[400, 420]),
        node("quadruplets", "StepEdit_QuadrupletBuilder", (500, 260), size=[400, 400]),
        node("replace", "StepEdit_ReplaceWords", (2500, 0), size=[400, 360]),
        node("pairs", "StepEdit_PreferencePairs", (1000, 0), size=[400, 560]),
        node("batch", "StepEdit_BatchEdit", (2500, 520), size=[400, 250]),
    ],
    "links": [],
}
"""Nodes that no workflow has, for their pictures."""
