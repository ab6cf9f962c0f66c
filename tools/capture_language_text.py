"""Capture tests/golden/language_text.json: prompt ids of the official code and tokenizer.

    EDITX_OFFICIAL_REPO=<checkout of Step-Audio-EditX, 2025-12> \
    EDITX_TOKENIZER=<folder with tokenizer.model and tokenizer_config.json> \
        python -m tools.capture_language_text        # needs transformers 4.53.3

Own code. The 2025 prompts are made by the official methods, lifted out of tts.py; the 2026 ones by
rendering the chat template of spec 6.4 and encoding it whole. Both use the transformers tokenizer
made from the released files, which shares no code with the project's.
"""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

AUDIO = "<audio_1><audio_2><audio_1034><audio_1035><audio_1036>"
TEXTS = (
    "Hello.",
    "Hello there! How  are you (today)? 12,345.67",
    "我也想guo4guo4guo1儿的生活。",
    "naïve café — “quoted”\n🙂 tail ",
    " leading space",
    "[Cantonese]你好",
    "a<audio_7>b c<|EOT|> d",
    "tab\there <unk> <?> <br>",
    "こんにちは、안녕하세요",
    "",
)
EDITS = (
    ("emotion", "happy", "Hello.", ""),
    ("emotion", "remove", " Good {text} day. ", ""),
    ("style", "act_coy", "今天天气很好。", ""),
    ("style", "remove", "Fine.", ""),
    ("speed", "more faster", "Run, run!", ""),
    ("paralinguistic", "", "So it is.", "So [sigh] it is [laugh]."),
    ("denoise", "", "", ""),
    ("vad", "", "", ""),
)
CLONES = (("Hello.", "Good morning."), ("你好。", "[Cantonese]早晨 guo4!"), ("A b", " two\nlines"))


def official_methods(repo: Path) -> type:
    """A class with the three prompt methods of the official tts.py and nothing else."""
    wanted = {
        "_build_audio_edit_instruction",
        "_encode_audio_edit_prompt",
        "_encode_audio_edit_clone_prompt",
    }
    tree = ast.parse((repo / "tts.py").read_text(encoding="utf-8"))
    methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in wanted]
    holder = ast.ClassDef("Official", [], [], methods, [], type_params=[])
    module = ast.fix_missing_locations(ast.Module([holder], []))
    space: dict = {}
    exec("from typing import Optional", space)  # noqa: S102 the lifted signatures name it
    exec(compile(module, "tts.py", "exec"), space)  # noqa: S102 runs the official methods
    return space["Official"]


def template(system: str, user: str) -> str:
    """The chat template of spec 6.4 with the answer opened."""
    return f"<s><|BOT|> system\n{system}<|EOT|><|BOT|> human\n{user}<|EOT|><|BOT|> assistant\n"


def main() -> None:
    """Write the golden file."""
    from transformers import AutoTokenizer

    repo = Path(os.environ["EDITX_OFFICIAL_REPO"])
    space: dict = {}
    exec((repo / "config" / "prompts.py").read_text(encoding="utf-8"), space)  # noqa: S102 data
    system = space["AUDIO_EDIT_SYSTEM_PROMPT"]
    clone_system = space["AUDIO_EDIT_CLONE_SYSTEM_PROMPT_TPL"]
    folder = os.environ["EDITX_TOKENIZER"]
    plain = AutoTokenizer.from_pretrained(folder, add_bos_token=False)
    made = official_methods(repo)()
    made.edit_clone_sys_prompt_tpl = clone_system
    result: dict = {"texts": [], "edits": [], "clones": []}
    for text in TEXTS:
        result["texts"].append({"text": text, "ids": plain.encode(text)})
    layouts = {"2025": AutoTokenizer.from_pretrained(folder), "2025-no-bos": plain}
    for kind, option, text, new_text in EDITS:
        asked = made._build_audio_edit_instruction(text, kind, option or None, new_text or None)
        case = {"kind": kind, "option": option, "text": text, "new_text": new_text, "ids": {}}
        for layout, made.tokenizer in layouts.items():
            case["ids"][layout] = made._encode_audio_edit_prompt(system, asked, AUDIO)
        rendered = template(system, f"{asked}\n{AUDIO}\n")
        case["ids"]["2026"] = plain.encode(rendered, add_special_tokens=False)
        result["edits"].append(case)
    for prompt_text, text in CLONES:
        case = {"prompt_text": prompt_text, "text": text, "ids": {}}
        for layout, made.tokenizer in layouts.items():
            ids = made._encode_audio_edit_clone_prompt(text, prompt_text, "debug", AUDIO)
            case["ids"][layout] = ids
        filled = clone_system.format(
            speaker="debug", prompt_text=prompt_text, prompt_wav_tokens=AUDIO
        )
        case["ids"]["2026"] = plain.encode(template(filled, text), add_special_tokens=False)
        result["clones"].append(case)
    out = Path(__file__).parents[1] / "tests/golden/language_text.json"
    out.write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
