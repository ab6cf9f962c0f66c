"""What the pack's nodes look like from outside: the snapshot, and the English texts made from it.

python -m tests.server.catalogue      boots ComfyUI and writes both files anew
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SNAPSHOT = Path(__file__).with_name("object_info.json")
ENGLISH = REPOSITORY / "locales" / "en" / "nodeDefs.json"
LOCAL_LISTS = {("StepEdit_LoadModel", "bundle"), ("StepEdit_LoadTokens", "file")}
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


def texts(infos: dict[str, Any]) -> dict[str, Any]:
    """locales/<language>/nodeDefs.json as the browser reads it, from a snapshot."""
    found = {}
    for name, info in infos.items():
        inputs = {
            key: {"name": key, "tooltip": spec[1]["tooltip"]}
            for group in info["input"].values()
            for key, spec in group.items()
        }
        outputs = {
            str(place): {"name": title, "tooltip": tooltip}
            for place, (title, tooltip) in enumerate(
                zip(info["output_name"], info["output_tooltips"], strict=True)
            )
        }
        found[name] = {
            "display_name": info["display_name"],
            "description": info["description"],
            **({"inputs": inputs} if inputs else {}),
            "outputs": outputs,
        }
    return found


def write(path: Path, data: Any) -> None:
    """JSON as it is kept in the repository."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    """Write the snapshot and the English texts."""
    from tests.server.comfyui import Server

    with TemporaryDirectory() as base:
        server = Server(Path(base)).start()
        try:
            infos = snapshot(server.get("/object_info"))
        finally:
            server.stop()
    write(SNAPSHOT, infos)
    write(ENGLISH, texts(infos))
    return 0


if __name__ == "__main__":
    sys.exit(main())
