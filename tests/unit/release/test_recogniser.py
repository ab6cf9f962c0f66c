"""The recogniser out of the released model.pt, into a bundle and back to words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from stepedit_core.bundle.manifest import file_of, verify
from stepedit_core.bundle.weights import build_empty
from stepedit_core.bundle.write import write_bundle
from stepedit_core.files.tensors import read_header
from stepedit_core.measure.recognisers import recogniser_of
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.models.paraformer import UNIT_TEXT, Paraformer, ParaformerConfig
from stepedit_core.registry.registry import Registry
from stepedit_core.release import convert as module
from stepedit_core.release.convert import Conversion, convert, describe, plans
from stepedit_core.release.layout import find_release
from stepedit_core.release.recogniser import COUNT, RECOGNISER
from stepedit_core.release.rules import assign
from stepedit_core.release.tables import COUNTS, LINGUISTIC
from stepedit_core.release.verify import verify_conversion
from stepedit_core.types import Clip
from tests import fake_release

MODEL, TOKENS = "Step-Audio-EditX", "Step-Audio-Tokenizer"
CLIP = Clip(
    wave=0.1 * torch.randn(48_000, generator=torch.Generator().manual_seed(6)), sample_rate=24_000
)


@pytest.fixture(scope="module")
def folder(
    release: tuple[Path, dict[str, nn.Module]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The toy release, converted."""
    out = tmp_path_factory.mktemp("out") / "editx"
    convert(release[0] / MODEL, release[0] / TOKENS, out, Conversion(sizes=fake_release.TINY))
    return out


def units_of(folder: Path) -> Path:
    """tokens.json of a release."""
    return folder / TOKENS / fake_release.PARAFORMER / "tokens.json"


class Released:
    """model.pt at the released sizes, without its 881 MB: names and shapes."""

    label = "model.pt"

    def __init__(self, *more: str) -> None:
        tokenizer = build_empty(lambda: LinguisticTokenizer(LinguisticConfig()))
        model = build_empty(lambda: Paraformer(ParaformerConfig()))
        self._shapes = {f"encoder.{n}": v.shape for n, v in tokenizer.encoder.state_dict().items()}
        self._shapes |= {n: v.shape for n, v in model.state_dict().items()}
        self._shapes |= {"decoder.embed.0.weight": torch.Size((8501, 512))}
        self._shapes |= {name: torch.Size((1,)) for name in more}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(shape) for name, shape in self._shapes.items()}

    def tensor(self, name: str) -> torch.Tensor:
        raise AssertionError(f"{name} was read")


class TestTable:
    """Every released tensor is used by one of the two tables or dropped for a reason."""

    def test_counts_at_the_released_sizes(self):
        source = Released()
        model = build_empty(lambda: Paraformer(ParaformerConfig()))
        plan = assign(model, source, RECOGNISER)
        assert plan.used == len(plan.places) == COUNT
        assert plan.dropped == {
            "only training reads the embedding of units": 1,
            "the linguistic tokenizer has the encoder": COUNTS["linguistic"],
        }
        assert plan.used + sum(plan.dropped.values()) == len(source.shapes()) == 956

    def test_both_tables_together_use_all_but_the_embedding_once(self):
        for name in Released().shapes():
            rules = [
                next(rule for rule in table if rule.claim(name) is not None)
                for table in (LINGUISTIC, RECOGNISER)
            ]
            kinds = sorted(type(rule).__name__ for rule in rules)
            embedding = name.startswith("decoder.embed.")
            assert kinds == (["Drop", "Drop"] if embedding else ["Drop", "Key"]), name

    @pytest.mark.parametrize("name", ["decoder.decoders.16.norm1.weight", "postnet.weight"])
    def test_a_tensor_too_much_is_named(self, name):
        model = build_empty(lambda: Paraformer(ParaformerConfig()))
        with pytest.raises(ValueError, match=rf"model.pt does not fit .* unknown .*: {name};"):
            assign(model, Released(name), RECOGNISER)

    def test_the_toy_release_is_used_whole(self, release):
        found = find_release(release[0] / MODEL, release[0] / TOKENS)
        rows = plans(found, describe(found, sizes=fake_release.TINY))
        whole = torch.load(found.paraformer, weights_only=True)
        for part in ("linguistic", "recogniser"):
            assert rows[part].used + sum(rows[part].dropped.values()) == len(whole)
        assert rows["linguistic"].used + rows["recogniser"].used + 1 == len(whole)


class TestConvert:
    """The part in the bundle."""

    def test_its_file_has_an_fp16_decoder_and_the_list_of_units(self, folder):
        header = read_header(folder / file_of("recogniser"))
        wanted = {"decoder": "F16", "predictor": "F32", UNIT_TEXT: "U8"}
        for name, (code, _) in header.items():
            assert code == wanted[name.partition(".")[0]], name
        bundle = Registry().load(folder, device="cpu")
        assert list(bundle.recogniser.units) == fake_release.units(30)

    def test_its_numbers_are_the_released_ones_as_stored(self, release, folder):
        found = Registry().load(folder, device="cpu").recogniser.state_dict()
        for name, value in release[1]["recogniser"].state_dict().items():
            stored = value.half().float() if name.startswith("decoder.") else value
            assert torch.equal(found[name], stored), name

    def test_verify_compares_it(self, release, folder):
        rows = verify_conversion(
            release[0] / MODEL, release[0] / TOKENS, folder, sizes=fake_release.TINY
        )
        assert (
            "recogniser",
            52,
            51,
            1 + len(release[1]["linguistic"].encoder.state_dict()),
        ) in rows

    def test_a_clip_becomes_words(self, release, folder):
        bundle = Registry().load(folder, device="cpu")
        words = recogniser_of(bundle).transcribe(CLIP)
        assert words
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[-1] <= CLIP.seconds

    def test_the_raw_folder_hears_the_same_words(self, release, folder, monkeypatch):
        monkeypatch.setattr(module, "Sizes", lambda: fake_release.TINY)
        raw = Registry([release[0]], environment={}).load("editx-2025", device="cpu")
        converted = Registry().load(folder, device="cpu")
        assert recogniser_of(raw).transcribe(CLIP) == recogniser_of(converted).transcribe(CLIP)

    def test_a_bundle_of_another_language_model_keeps_it(self, folder, tmp_path):
        about = verify(folder)
        parts = {part: folder / file_of(part) for part in about.parts}
        write_bundle(tmp_path / "tuned", about, parts, folder / "tokenizer.model")
        tuned = Registry().load(tmp_path / "tuned", device="cpu")
        assert list(tuned.recogniser.units) == fake_release.units(30)


class TestWithout:
    """A bundle that has no recogniser works, and says how to get one."""

    def test_a_release_without_the_list_becomes_a_bundle_without_the_part(self, copy, tmp_path):
        units_of(copy).unlink()
        out = tmp_path / "out"
        made = convert(copy / MODEL, copy / TOKENS, out, Conversion(sizes=fake_release.TINY))
        assert "recogniser" not in made.parts
        assert not (out / file_of("recogniser")).exists()
        bundle = Registry().load(out, device="cpu")
        assert bundle.linguistic is not None
        with pytest.raises(
            ValueError,
            match=r"bundle 'editx-2025' has no recogniser.*tokens.json included, and convert",
        ):
            recogniser_of(bundle)

    def test_a_damaged_list_is_said_before_a_byte_is_written(self, copy, tmp_path):
        units_of(copy).write_text(json.dumps(["a", "b"]), "utf-8")
        with pytest.raises(ValueError, match=r"tokens.json has 2 units; the network has 30"):
            convert(
                copy / MODEL, copy / TOKENS, tmp_path / "out", Conversion(sizes=fake_release.TINY)
            )
        assert not list(tmp_path.glob("*out*"))

    def test_a_list_damaged_in_the_bundle_is_refused(self, folder):
        model = Registry().load(folder, device="cpu").recogniser
        getattr(model, UNIT_TEXT)[0] = 0
        with pytest.raises(ValueError, match=r"the recogniser's unit list is not JSON"):
            _ = model.units
