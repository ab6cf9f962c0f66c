"""Writes workflows/, subgraphs/ and the pictures of the help: built, saved and shot in a browser.

    python -m tools.save_workflows              all
    python -m tools.save_workflows 05 06        workflows whose names begin so
    python -m tools.save_workflows help         pictures of ONLY_IN_HELP that are not there yet

The graphs are described below by node, widget value and link; everything else in the files is
what the ComfyUI frontend makes of them.
"""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import torch
from PIL import Image

from stepedit_core.files.tokens import save_tokens
from stepedit_core.types import DualCodes
from tests.browser.page import Page, open_page
from tests.server.comfyui import PACK, PATIENCE, Server
from tests.server.material import SETTINGS

WORDS = (PACK / "stepedit_core/assets/samples/walking_home.txt").read_text("utf-8").strip()
LAUGHING = WORDS.replace(" when", " [Laughter] when")
HELP = PACK / "web" / "docs" / "images"
NANO = PACK / "stepedit_core/assets/nano"
CLIP = "stepedit_walking_home.wav"
SEED = 7
WINDOW, PICTURE = (2240, 1120), (1120, 560)
ONLY_GRAPH = """
body * { visibility: hidden; }
#graph-canvas, .dom-widget, .dom-widget * { visibility: visible; }
"""
ORIGINAL = "stay with the original"

BUILD = """
async (spec) => {
  app.clean();
  app.graph.clear();
  const made = {};
  for (const item of spec.nodes) {
    const node = LiteGraph.createNode(item.type);
    node.pos = item.at;
    app.graph.add(node);
    for (const [name, value] of Object.entries(item.widgets ?? {})) {
      const widget = name ? node.widgets.find((w) => w.name === name) : node.widgets[0];
      widget.value = value;
      widget.callback?.(value, app.canvas, node);
    }
    for (const widget of node.widgets ?? [])
      if (widget.name === "control_after_generate") widget.value = "fixed";
    if (item.title) node.title = item.title;
    node.setSize(item.size ?? node.computeSize());
    made[item.key] = node;
  }
  for (const [from, output, to, input] of spec.links) {
    const slot = made[from].outputs.findIndex((o) => (o.label ?? o.name) === output);
    const target = made[to].inputs.findIndex((i) => i.name === input);
    if (slot < 0 || target < 0) throw Error(`no link ${from}.${output} -> ${to}.${input}`);
    made[from].connect(slot, made[to], target);
  }
  await new Promise((done) => setTimeout(done, 300));
  return JSON.stringify(app.graph.serialize());
}
"""

ENCLOSE = """
async ({ title, outside, widgets }) => {
  const keep = (n) => outside.includes(n.type);
  const inner = app.graph.nodes.filter((n) => !keep(n));
  const { subgraph, node } = app.graph.convertToSubgraph(new Set(inner));
  subgraph.name = node.title = title;
  const shown = [];
  for (const [type, name] of widgets) {
    const found = subgraph.nodes.find((n) => n.type === type);
    shown.push([String(found.id), name]);
  }
  node.properties.proxyWidgets = shown;
  for (const other of app.graph.nodes.filter(keep)) app.graph.remove(other);
  node.pos = [0, 0];
  node.setSize([380, Math.max(node.computeSize()[1], 200)]);
  await new Promise((done) => setTimeout(done, 500));
  return JSON.stringify(app.graph.serialize());
}
"""

PLACES = """
() => app.graph.nodes.map((node) => {
  const [x, y, w, h] = node.getBounding();
  const { scale, offset } = app.canvas.ds;
  return [node.type, (x + offset[0]) * scale, (y + offset[1]) * scale, w * scale, h * scale];
})
"""

FIT = """
([width, height]) => {
  let [left, top, right, bottom] = [1e9, 1e9, -1e9, -1e9];
  for (const node of app.graph.nodes) {
    const [x, y, w, h] = node.getBounding();
    left = Math.min(left, x); top = Math.min(top, y);
    right = Math.max(right, x + w); bottom = Math.max(bottom, y + h);
  }
  const scale = Math.min(width / (right - left + 60), height / (bottom - top + 60), 1.5);
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset = [(width / scale - left - right) / 2, (height / scale - top - bottom) / 2];
  app.canvas.setDirty(true, true);
}
"""


def node(key: str, type_: str, at: tuple[int, int], **more: Any) -> dict[str, Any]:
    """One node of a description."""
    return {"key": key, "type": type_, "at": list(at), **more}


def note(text: str, size: tuple[int, int], at: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """The note of a workflow."""
    return node("note", "MarkdownNote", at, widgets={"": text}, size=list(size), title="Read me")


def clip(at: tuple[int, int]) -> dict[str, Any]:
    """Core's Load Audio with the sample clip."""
    return node("clip", "LoadAudio", at, widgets={"audio": CLIP}, size=[300, 140])


def model(at: tuple[int, int]) -> dict[str, Any]:
    """The loader."""
    return node("model", "StepEdit_LoadModel", at, widgets={"bundle": "nano"}, size=[300, 110])


USE_YOURS = (
    "**Your own clip:** choose it in *Load Audio* (0.5 to 30 s) and type the words that are spoken "
    "in it into `text`.\n\n**Model:** `nano` is part of the pack. Nothing is downloaded."
)

WORKFLOWS: dict[str, dict[str, Any]] = {
    "01_edit_emotion_by_rounds": {
        "nodes": [
            note(
                "## Happier, round by round\n\nThe clip is edited three times; every round builds "
                "on the one before. Listen to them inside *Iterative Edit*: keys 0 to 3 switch "
                "rounds at the same moment. The chart shows how strong each round is and where "
                "its pitch went.\n\n"
                "**Another emotion:** change *Emotion*. **Stronger, but further from "
                f"the voice:** let `voice` follow the previous round.\n\n{USE_YOURS}",
                (380, 400),
            ),
            model((420, -20)),
            clip((420, 170)),
            node(
                "emotion", "StepEdit_Emotion", (420, 370), widgets={"emotion": "happy"},
                size=[300, 200],
            ),
            node(
                "edit", "StepEdit_IterativeEdit", (770, 0), size=[400, 640],
                widgets={"text": WORDS, "rounds": 3, "voice": ORIGINAL, "seed": SEED},
            ),
            node("rounds", "PreviewAudio", (1220, 0), title="rounds", size=[300, 110]),
            node("final", "PreviewAudio", (1220, 150), title="last round", size=[300, 110]),
            node(
                "save", "SaveAudio", (1220, 300), size=[300, 130],
                widgets={"filename_prefix": "audio/stepedit"},
            ),
            node("chart", "PreviewImage", (1570, 0), title="chart", size=[420, 330]),
            node("report", "PreviewAny", (1570, 380), title="report", size=[420, 260]),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("emotion", "edit", "edit", "edit"),
            ("edit", "rounds", "rounds", "audio"),
            ("edit", "final", "final", "audio"),
            ("edit", "final", "save", "audio"),
            ("edit", "chart", "chart", "images"),
            ("edit", "report", "report", "source"),
        ],
    },
    "02_every_stage_open": {
        "nodes": [
            note(
                "## Every stage is a node\n\n1. *Tokenize Speech* writes the clip down as tokens "
                "and as a voice.\n2. *Emotion* says what to change.\n3. *Generate Tokens*: the "
                "language model writes the edited tokens.\n4. *Flow Decode* turns them into a mel "
                "spectrogram.\n5. *Vocode* turns that into sound.\n6. *Margin Score* says how "
                "strongly the edit came out, 1 to 10.\n\nWith one seed in all nodes this is one "
                f"round of *Iterative Edit*, sample for sample.\n\n{USE_YOURS}",
                (380, 470),
            ),
            model((420, -20)),
            clip((420, 170)),
            node(
                "emotion", "StepEdit_Emotion", (420, 370), widgets={"emotion": "happy"},
                size=[300, 200],
            ),
            node("tokenize", "StepEdit_TokenizeSpeech", (770, 0), size=[260, 80]),
            node(
                "generate", "StepEdit_GenerateTokens", (770, 140), size=[340, 370],
                widgets={"text": WORDS, "seed": SEED},
            ),
            node(
                "flow", "StepEdit_FlowDecode", (1160, 0), size=[300, 230], widgets={"seed": SEED}
            ),
            node(
                "vocode", "StepEdit_Vocode", (1160, 290), size=[300, 150], widgets={"seed": SEED}
            ),
            node("score", "StepEdit_MarginScore", (1160, 500), size=[300, 130]),
            node("picture", "StepEdit_MelPicture", (1510, 0), size=[220, 50]),
            node("shown", "PreviewImage", (1760, 0), title="mel", size=[400, 270]),
            node("play", "PreviewAudio", (1510, 310), size=[300, 110]),
            node(
                "save", "SaveAudio", (1850, 310), size=[310, 130],
                widgets={"filename_prefix": "audio/stepedit_stages"},
            ),
            node("words", "PreviewAny", (1550, 500), title="score", size=[300, 120]),
            node(
                "tokens", "StepEdit_SaveTokens", (1550, 660), size=[300, 90],
                widgets={"filename_prefix": "stepedit/tokens"},
            ),
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
            ("vocode", "audio", "play", "audio"),
            ("vocode", "audio", "save", "audio"),
            ("score", "text", "words", "source"),
            ("generate", "tokens", "tokens", "tokens"),
        ],
    },
    "03_clone_a_voice": {
        "nodes": [
            note(
                "## New words in a voice\n\n*Clone Voice* listens to the clip and its words and "
                "says other words in the same voice. Use it only with the consent of the person "
                f"who speaks, and say that the speech is made.\n\n{USE_YOURS}",
                (380, 330),
            ),
            model((420, -20)),
            clip((420, 170)),
            node(
                "clone", "StepEdit_CloneVoice", (770, 0), size=[400, 440],
                widgets={
                    "text": WORDS,
                    "new_words": "We will meet again tomorrow morning by the river.",
                    "seed": SEED,
                },
            ),
            node("play", "PreviewAudio", (1220, 0), size=[300, 110]),
            node(
                "save", "SaveAudio", (1220, 160), size=[300, 130],
                widgets={"filename_prefix": "audio/stepedit_clone"},
            ),
        ],
        "links": [
            ("model", "model", "clone", "model"),
            ("clip", "AUDIO", "clone", "audio"),
            ("clone", "audio", "play", "audio"),
            ("clone", "audio", "save", "audio"),
        ],
    },
    "04_chain_style_then_laughter": {
        "nodes": [
            note(
                "## Two edits in a row\n\n*Speaking Style* and *Non-verbal Sounds* make one list: "
                "the clip is whispered first, then laughs where the tag stands. *Iterative Edit* "
                "applies them in this order; its list *rounds* has the input and both "
                f"results.\n\n{USE_YOURS}",
                (380, 350),
            ),
            model((420, -20)),
            clip((420, 170)),
            node(
                "style", "StepEdit_SpeakingStyle", (420, 370), widgets={"style": "whisper"},
                size=[300, 240],
            ),
            node(
                "sounds", "StepEdit_NonverbalSounds", (420, 660), size=[300, 330],
                widgets={"text_with_sounds": LAUGHING},
            ),
            node(
                "edit", "StepEdit_IterativeEdit", (770, 0), size=[400, 600],
                widgets={"text": WORDS, "rounds": 1, "voice": ORIGINAL, "seed": SEED},
            ),
            node("rounds", "PreviewAudio", (1220, 0), title="rounds", size=[300, 110]),
            node(
                "save", "SaveAudio", (1220, 160), size=[300, 130],
                widgets={"filename_prefix": "audio/stepedit_chain"},
            ),
            node("chart", "PreviewImage", (1570, 0), title="chart", size=[420, 290]),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("style", "edit", "sounds", "edit"),
            ("sounds", "edit", "edit", "edit"),
            ("edit", "rounds", "rounds", "audio"),
            ("edit", "final", "save", "audio"),
            ("edit", "chart", "chart", "images"),
        ],
    },
    "05_clean_up_for_dubbing": {
        "nodes": [
            note(
                "## Clean up a recording for dubbing\n\nThree edits in a row: *Denoise*, *Remove "
                "Silence*, then *Speed* to fit the picture. Listen inside *Iterative Edit*: round "
                "1 is without noise, 2 without pauses, 3 faster. Bypass an edit you do not need "
                "(Ctrl+B) and the rest still runs. With `nano` all three are signal processing, "
                "which keeps voice and words; *Denoise* then needs one package, and says which "
                f"line installs it.\n\n{USE_YOURS}",
                (380, 370),
            ),
            model((420, -20)),
            clip((420, 170)),
            node("denoise", "StepEdit_Denoise", (420, 370), size=[300, 90]),
            node("silence", "StepEdit_RemoveSilence", (420, 510), size=[300, 90]),
            node(
                "speed", "StepEdit_Speed", (420, 650), widgets={"speed": "faster"},
                size=[300, 210],
            ),
            node(
                "edit", "StepEdit_IterativeEdit", (770, 0), size=[400, 640],
                widgets={"text": WORDS, "rounds": 1, "voice": ORIGINAL, "seed": SEED},
            ),
            node("rounds", "PreviewAudio", (1220, 0), title="rounds", size=[300, 110]),
            node("final", "PreviewAudio", (1220, 150), title="cleaned up", size=[300, 110]),
            node(
                "save", "SaveAudio", (1220, 300), size=[300, 130],
                widgets={"filename_prefix": "audio/stepedit_clean"},
            ),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("denoise", "edit", "silence", "edit"),
            ("silence", "edit", "speed", "edit"),
            ("speed", "edit", "edit", "edit"),
            ("edit", "rounds", "rounds", "audio"),
            ("edit", "final", "final", "audio"),
            ("edit", "final", "save", "audio"),
        ],
    },
    "06_compare_rounds_keep_the_best": {
        "nodes": [
            note(
                "## Compare rounds, keep the best\n\nMore rounds are not always better. Run, "
                "click into the list of rounds and switch with the keys 0 to 4: the sound "
                "continues at the same moment. *Score* says how strong the edit is, *Voice* how "
                "much it is still the same person. Click the star of the round you like (or "
                "press B) and run again: nothing is made anew, the output *best* gives that "
                "round. Without a star "
                f"it is the round with the highest score.\n\n{USE_YOURS}",
                (380, 470),
            ),
            model((420, -20)),
            clip((420, 170)),
            node(
                "emotion", "StepEdit_Emotion", (420, 370), widgets={"emotion": "sad"},
                size=[300, 200],
            ),
            node(
                "edit", "StepEdit_IterativeEdit", (770, 0), size=[400, 680],
                widgets={"text": WORDS, "rounds": 4, "voice": ORIGINAL, "seed": SEED},
            ),
            node("best", "PreviewAudio", (1220, 0), title="best round", size=[300, 110]),
            node(
                "save", "SaveAudio", (1220, 150), size=[300, 130],
                widgets={"filename_prefix": "audio/stepedit_best"},
            ),
            node("scores", "PreviewAny", (1220, 330), title="scores", size=[300, 150]),
            node("chart", "PreviewImage", (1570, 0), title="chart", size=[420, 330]),
            node("report", "PreviewAny", (1570, 380), title="report", size=[420, 300]),
        ],
        "links": [
            ("model", "model", "edit", "model"),
            ("clip", "AUDIO", "edit", "audio"),
            ("emotion", "edit", "edit", "edit"),
            ("edit", "best", "best", "audio"),
            ("edit", "best", "save", "audio"),
            ("edit", "scores", "scores", "source"),
            ("edit", "chart", "chart", "images"),
            ("edit", "report", "report", "source"),
        ],
    },
}  # fmt: skip

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
        node("tokens", "StepEdit_LoadTokens", (500, 0), size=[400, 80]),
        node("triplets", "StepEdit_TripletBuilder", (0, 260), size=[400, 420]),
        node("quadruplets", "StepEdit_QuadrupletBuilder", (500, 260), size=[400, 400]),
        node("pairs", "StepEdit_PreferencePairs", (1000, 0), size=[400, 560]),
    ],
    "links": [],
}
"""Nodes that no workflow has, for their pictures."""


def finished(name: str, saved: dict[str, Any]) -> dict[str, Any]:
    """A saved graph without what changes from one saving to the next."""
    saved["id"] = str(uuid5(NAMESPACE_URL, f"stepedit/{name}"))
    for item in saved["nodes"]:
        ours = item["type"].startswith("StepEdit_")
        source = {"cnr_id": "stepedit" if ours else "comfy-core"}
        names = {"Node name for S&R": item["type"]}
        item["properties"] = {} if item["type"] == "MarkdownNote" else {**source, **names}
        if item["type"] in PANELS_OF_TEXT:
            item["widgets_values"] = []  # what the last run said
    saved["extra"] = {"ds": {"scale": 0.8, "offset": [40, 60]}}
    return saved


PANELS_OF_TEXT = ("PreviewAny",)


def blueprint(name: str, saved: dict[str, Any]) -> dict[str, Any]:
    """A graph of one subgraph node without what changes from one saving to the next."""
    (outer,) = saved["nodes"]
    (inner,) = saved["definitions"]["subgraphs"]
    shown = outer["properties"]["proxyWidgets"]
    fixed = str(uuid5(NAMESPACE_URL, f"stepedit/subgraph/{name}"))
    for number, socket in enumerate([*inner["inputs"], *inner["outputs"]]):
        socket["id"] = str(uuid5(NAMESPACE_URL, f"{fixed}/{number}"))
    finished(name, inner)
    inner.pop("extra", None)
    saved = finished(name, saved)
    inner["id"] = outer["type"] = fixed
    outer["properties"] = {"proxyWidgets": shown}
    return saved


def run_once(page: Page, server: Server, seconds: float = 120 * PATIENCE) -> None:
    """Run the graph, so that players, charts and texts in the picture are real."""
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    for _ in range(int(5 * seconds)):
        if len(server.get("/history")) > count:
            break
        page.page.wait_for_timeout(200)
    for entry in list(server.get("/history").values())[count:]:
        if entry["status"]["status_str"] != "success":
            raise RuntimeError(json.dumps(entry["status"]["messages"][-1]))
    page.page.wait_for_timeout(1500)


def shoot(page: Page, target: Path, pictured: set[str]) -> None:
    """A picture of the whole graph without the menus around it, and of each node not yet seen."""
    page.evaluate(FIT, [page.page.viewport_size["width"], page.page.viewport_size["height"]])
    page.page.add_style_tag(content=ONLY_GRAPH)
    page.page.wait_for_timeout(600)
    with Image.open(BytesIO(page.page.screenshot())) as shot:
        whole = shot.convert("RGB")
    if target.suffix:
        whole.resize(PICTURE).save(target, quality=80, optimize=True)
    for kind, x, y, wide, tall in page.evaluate(PLACES):
        if not kind.startswith("StepEdit_") or kind in pictured:
            continue
        pictured.add(kind)
        box = (max(int(x) - 8, 0), max(int(y) - 8, 0), int(x + wide) + 8, int(y + tall) + 8)
        picture = whole.crop(box)
        picture.thumbnail((520, 900))
        picture.save(HELP / f"{kind}.jpg", quality=80, optimize=True)


def write(path: Path, graph: dict[str, Any]) -> None:
    """JSON as it is kept in the repository."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(graph, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_all(page: Page, server: Server, wanted: tuple[str, ...]) -> None:
    """Build, run and shoot what is wanted; all, blueprints included, when nothing is named."""
    pictured: set[str] = set()
    for name, described in WORKFLOWS.items():
        if wanted and not name.startswith(wanted):
            continue
        write(PACK / "workflows" / f"{name}.json", finished(name, built(page, described)))
        if NANO.is_dir():  # a picture with results, where there is a model to run
            run_once(page, server)
        shoot(page, PACK / "workflows" / f"{name}.jpg", pictured)
    if wanted and "help" not in wanted:
        return
    built(page, ONLY_IN_HELP)
    if wanted:
        pictured |= {path.stem for path in HELP.glob("*.jpg")}
    shoot(page, HELP, pictured)
    if wanted:
        return
    for name, described in BLUEPRINTS.items():
        built(page, described)
        how = {"title": name, "outside": OUTSIDE, "widgets": described["widgets"]}
        saved = json.loads(page.evaluate(ENCLOSE, how))
        write(PACK / "subgraphs" / f"{name}.json", blueprint(name, saved))


def built(page: Page, described: dict[str, Any]) -> dict[str, Any]:
    """The graph as the frontend saves it; it stays open."""
    return dict(json.loads(page.evaluate(BUILD, described)))


def main(wanted: list[str]) -> int:
    """Write the files and their pictures."""
    HELP.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        base = Path(folder)
        settings = base / "user" / "default" / "comfy.settings.json"
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS)
        tokens = DualCodes(linguistic=torch.zeros(2), semantic=torch.zeros(3), codebook="nano")
        (base / "input").mkdir()
        save_tokens(tokens, base / "input" / "walking_home.safetensors")  # for Load Tokens's list
        server = Server(base).start()
        try:
            with open_page(server.url, width=WINDOW[0], height=WINDOW[1]) as page:
                save_all(page, server, tuple(wanted))
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
