"""The golden files of the tokenizers are the ones their manifest describes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden"


def test_every_golden_file_is_listed_small_and_unchanged():
    manifest = json.loads((GOLDEN / "tokenizers.manifest.json").read_text(encoding="utf-8"))
    files = {path.name: path for path in GOLDEN.glob("tokenizers_*.safetensors")}
    assert set(files) == set(manifest)
    for name, path in files.items():
        data = path.read_bytes()
        assert len(data) <= 200_000
        assert hashlib.sha256(data).hexdigest() == manifest[name]["sha256"]
