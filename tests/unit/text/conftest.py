"""Tokenizers for the text tests: the released one where the data folder is, and a tiny own one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import sentencepiece

from stepedit_core.text.tokenizer import TextTokenizer

ROOT = Path(__file__).parents[3]
WORDS = (
    *(
        "make the following audio more happy",
        "the text of the audio is hello there",
        "good morning",
    ),
    *("remove any noise from the given audio", "system human assistant", "emotion style speed"),
    *("a quick brown fox jumps over the lazy dog", "pack my box with five dozen jugs"),
)


@pytest.fixture(scope="session")
def released() -> TextTokenizer:
    """The released tokenizer, read from the data folder beside the repository."""
    folder = Path(os.environ.get("STEPEDIT_SHARED_DATA") or ROOT.parent / "shared" / "data")
    path = folder / "editx" / "tokenizer.model"
    if not path.is_file():
        pytest.skip(
            "the released tokenizer.model is not here; set STEPEDIT_SHARED_DATA to the folder "
            "that has editx/tokenizer.model"
        )
    return TextTokenizer(path)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    """A unigram model trained here, with the released control layout and eight audio pieces."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 20),
        model_writer=model,
        model_type="unigram",
        vocab_size=360,
        hard_vocab_limit=False,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        control_symbols=["<|EOT|>", "<|BOT|>"],
        user_defined_symbols=[f"<audio_{i}>" for i in range(8)],
        num_threads=1,
        minloglevel=3,
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return TextTokenizer(path)
