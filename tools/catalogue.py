"""What the pack's nodes look like from outside: the snapshot, and the texts made from it.

python -m tools.catalogue           boots ComfyUI and writes everything anew
python -m tools.catalogue --texts   writes the texts from the kept snapshot

locales/<language>/nodeDefs.json and main.json are made of the nodes' own English texts and of
locales/phrases.json, which has each of them once with its translations.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
SNAPSHOT = REPOSITORY / "tests/server/object_info.json"
LOCALES = REPOSITORY / "locales"
PHRASES = LOCALES / "phrases.json"
LANGUAGES = ("en", "zh", "ko", "ja")
OPTIONS = {
    ("StepEdit_Emotion", "emotion"): "emotion",
    ("StepEdit_SpeakingStyle", "style"): "style",
    ("StepEdit_Speed", "speed"): "speed",
    ("StepEdit_Speed", "engine"): "engine",
    ("StepEdit_Denoise", "engine"): "engine",
    ("StepEdit_RemoveSilence", "engine"): "engine",
    ("StepEdit_IterativeEdit", "voice"): "voice",
    ("StepEdit_PlayAndSave", "format"): "format",
}
"""Combos whose options have readable names, and the name of their table in phrases.json."""
LOCAL_LISTS = {
    ("StepEdit_LoadModel", "bundle"),
    ("StepEdit_LoadModel", "adapter"),
    ("StepEdit_LoadTokens", "file"),
    ("StepEdit_Transcribe", "recogniser"),
    ("StepEdit_EditLong", "recogniser"),
    ("StepEdit_ReplaceWords", "recogniser"),
    ("StepEdit_Script", "recogniser"),
    ("StepEdit_BatchEdit", "recogniser"),
    ("StepEdit_EditRange", "recogniser"),
    ("StepEdit_IterativeEdit", "recogniser"),
    ("StepEdit_RemoveWords", "recogniser"),
}
"""Combos whose options are files of this machine."""
KEPT = (
    *("name", "display_name", "category", "description", "input", "input_order", "output"),
    *("output_is_list", "output_name", "output_tooltips", "output_node", "experimental"),
)


def snapshot(infos: dict[str, Any]) -> dict[str, Any]:
    """The pack's part of /object_info without what depends on the machine or on newer cores."""
    found: dict[str, Any] = {}
    for name, info in infos.items():
        if not name.startswith("StepEdit_"):
            continue
        found[name] = json.loads(json.dumps({key: info[key] for key in KEPT if key in info}))
        found[name]["input"].pop("hidden", None)
        found[name]["input_order"].pop("hidden", None)
        for group in found[name]["input"].values():
            for key, spec in group.items():
                spec[1].pop("advanced", None)
                if (name, key) in LOCAL_LISTS:
                    spec[1]["options"] = []
    return found


def phrases() -> dict[str, Any]:
    """The translations by English text, and the words of the panels in all languages."""
    return dict(json.loads(PHRASES.read_text("utf-8")))


def untranslated(infos: dict[str, Any]) -> list[str]:
    """English texts of the nodes that phrases.json does not have, in order, once each."""
    known, found = phrases()["nodes"], []
    for info in infos.values():
        found += [info["display_name"], info["description"]]
        for group in info["input"].values():
            for key, spec in group.items():
                found += [key, spec[1]["tooltip"]]
        found += [*info["output_name"], *info["output_tooltips"]]
    return [text for text in dict.fromkeys(found) if text not in known]


def node_texts(infos: dict[str, Any], language: str = "en") -> dict[str, Any]:
    """locales/<language>/nodeDefs.json as the browser reads it, from a snapshot.

    KeyError names an English text that has no translation; `untranslated` lists them all.
    """
    known = phrases()

    def said(text: str) -> str:
        return text if language == "en" else str(known["nodes"][text][language])

    found = {}
    for name, info in infos.items():
        inputs: dict[str, Any] = {}
        for group in info["input"].values():
            for key, spec in group.items():
                inputs[key] = {"name": said(key), "tooltip": said(spec[1]["tooltip"])}
                table = known["options"].get(OPTIONS.get((name, key)))
                if table:
                    offered = spec[1]["options"]
                    inputs[key]["options"] = {o: table[o][language]["name"] for o in offered}
        outputs = {
            str(place): {"name": said(title), "tooltip": said(tooltip)}
            for place, (title, tooltip) in enumerate(
                zip(info["output_name"], info["output_tooltips"], strict=True)
            )
        }
        found[name] = {
            "display_name": said(info["display_name"]),
            "description": said(info["description"]),
            **({"inputs": inputs} if inputs else {}),
            "outputs": outputs,
        }
    return found


def panel_texts(language: str) -> dict[str, Any]:
    """locales/<language>/main.json: what the panels of web/ say."""
    known = phrases()
    return {
        "stepedit": {
            "panel": {key: entry[language] for key, entry in known["panel"].items()},
            "sounds": {tag: entry[language] for tag, entry in known["sounds"].items()},
            "options": {
                kind: {option: entry[language] for option, entry in table.items()}
                for kind, table in known["options"].items()
            },
        }
    }


def write(path: Path, data: Any) -> None:
    """JSON as it is kept in the repository."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_texts(infos: dict[str, Any]) -> None:
    """All files of locales/ but phrases.json."""
    for language in LANGUAGES:
        write(LOCALES / language / "nodeDefs.json", node_texts(infos, language))
        write(LOCALES / language / "main.json", panel_texts(language))


def main(arguments: list[str]) -> int:
    """Write the snapshot and all texts; with --texts only the texts."""
    from tests.server.comfyui import Server

    if "--texts" not in arguments:
        with TemporaryDirectory() as base:
            server = Server(Path(base)).start()
            try:
                infos = snapshot(server.get("/object_info"))
            finally:
                server.stop()
        write(SNAPSHOT, infos)
    infos = json.loads(SNAPSHOT.read_text("utf-8"))
    if missing := untranslated(infos):
        listed = "".join(f"\n  {text}" for text in missing)
        print(f"locales/phrases.json has no translation under 'nodes' of:{listed}", file=sys.stderr)
        print("Add each with its zh, ko and ja, then run this again.", file=sys.stderr)
        return 1
    write_texts(infos)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
