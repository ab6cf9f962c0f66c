"""A release in the published formats becomes a bundle that says the same, or one clear sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from stepedit_core.bundle.manifest import MANIFEST, sha256_of
from stepedit_core.bundle.weights import build_empty
from stepedit_core.files.tensors import read_header
from stepedit_core.models.flow import Flow
from stepedit_core.models.hift import HiFT
from stepedit_core.models.linguistic import LinguisticTokenizer
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.semantic import SemanticTokenizer
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.folders import BrokenEntry, ReleaseEntry
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.release.convert import (
    SOURCE,
    Conversion,
    Sizes,
    convert,
    describe,
    lm_config,
    plans,
    source_digest,
    version_of,
)
from stepedit_core.release.layout import find_release
from stepedit_core.release.rules import Key, assign, fill, fold_weight_norm, match
from stepedit_core.release.tables import COUNTS
from stepedit_core.release.verify import verify_conversion
from stepedit_core.types import Clip, EditRequest, Sampling
from tests import fake_release
from tests.kills import events

OnBytes = Callable[[int, int], None]
MODEL, TOKENS = "Step-Audio-EditX", "Step-Audio-Tokenizer"


@pytest.fixture(scope="session")
def bundle(
    release: tuple[Path, dict[str, nn.Module]], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """The toy release, converted and loaded."""
    folder, _ = release
    out = tmp_path_factory.mktemp("out") / "editx"
    convert(folder / MODEL, folder / TOKENS, out, Conversion(sizes=fake_release.TINY))
    return Registry().load(out, device="cpu", precision="fp32")


def converted(folder: Path, out: Path, *, on_bytes: OnBytes | None = None, **how: object) -> None:
    tiny = Conversion(sizes=fake_release.TINY, **how)
    convert(folder / MODEL, folder / TOKENS, out, tiny, on_bytes=on_bytes)


class TestWhatItSays:
    """Each network of the bundle against the network whose files were written."""

    def test_language_model_is_the_released_one_at_bf16(self, release, bundle):
        ids = torch.arange(20, 60)[None]
        with torch.no_grad():
            wanted = release[1]["llm"].to(torch.bfloat16).float()(ids)
            found = bundle.llm(ids)
        release[1]["llm"].float()
        # the same bf16 weights in the same float32 arithmetic
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)

    def test_flow_decoder_is_the_released_one(self, release, bundle):
        for name, value in release[1]["flow"].state_dict().items():
            assert torch.equal(value, bundle.flow.state_dict()[name]), name

    def test_vocoder_has_the_weights_that_torchs_weight_norm_makes(self, release, bundle):
        for name, value in release[1]["vocoder"].state_dict().items():
            found = bundle.vocoder.state_dict()[name]
            # g v / |v| in float32, in another order of operations: two roundings
            torch.testing.assert_close(found, value, rtol=5e-7, atol=1e-7, msg=name)

    def test_linguistic_codes_are_the_released_ones(self, release, bundle):
        features = torch.randn(1, 37, 560, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            assert torch.equal(
                bundle.linguistic.encode(features), release[1]["linguistic"].encode(features)
            )

    def test_semantic_codes_are_the_released_ones(self, release, bundle):
        mel = torch.randn(1, 128, 90, generator=torch.Generator().manual_seed(4))
        with torch.no_grad():
            assert torch.equal(bundle.semantic.encode(mel), release[1]["semantic"].encode(mel))

    def test_speaker_vector_survives_the_folded_norms(self, release, bundle):
        features = torch.randn(1, 230, 80, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            wanted, found = release[1]["speaker"](features), bundle.speaker(features)
        # the exporter multiplies each folded norm into its convolution in float32
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)

    def test_a_clip_is_edited_to_a_wave(self, bundle):
        noise = torch.randn(24_000, generator=torch.Generator().manual_seed(6)) * 0.1
        clip = Clip(wave=noise, sample_rate=24_000)
        request = EditRequest(kind="emotion", option="happy", text="hello world")
        done = iterate(bundle, clip, make_plan(bundle, clip, [request], seed=1)).final
        assert done.clip.sample_rate == 24_000
        assert torch.isfinite(done.clip.wave).all()
        assert len(done.clip.wave) >= 2880


class TestCounts:
    """How many released tensors each table uses at the released sizes."""

    def test_every_released_tensor_has_its_place(self):
        sizes = Sizes()
        networks: dict[str, nn.Module] = {
            "llm": build_empty(lambda: Step1LM(LMConfig())),
            "flow": build_empty(lambda: Flow(sizes.flow)),
            "vocoder": build_empty(lambda: HiFT(sizes.vocoder)),
            "linguistic": build_empty(lambda: LinguisticTokenizer(sizes.linguistic)).encoder,
            "semantic": build_empty(lambda: SemanticTokenizer(sizes.semantic)),
        }
        # weight norm is 82 tensors more in the file than in the network (spec 11.3)
        wanted = COUNTS | {"vocoder": COUNTS["vocoder"] - 82}
        assert {part: len(n.state_dict()) for part, n in networks.items()} == wanted

    def test_the_toy_release_is_used_whole(self, release):
        found = find_release(release[0] / MODEL, release[0] / TOKENS)
        rows = plans(found, describe(found, sizes=fake_release.TINY))
        raw = torch.load(found.vocoder, weights_only=True)
        assert rows["vocoder"].used == len(raw) > len(rows["vocoder"].places)
        assert rows["linguistic"].dropped == {"the tokenizer ends at the encoder": 52}
        assert rows["flow"].used == len(rows["flow"].places)

    def test_verify_compares_every_tensor(self, release, bundle):
        rows = verify_conversion(
            release[0] / MODEL, release[0] / TOKENS, bundle.folder, sizes=fake_release.TINY
        )
        assert [row[0] for row in rows] == list(bundle.manifest.parts)


class TestRules:
    """Patterns and folding."""

    def test_a_field_that_stands_twice_is_the_same_text(self):
        assert match("/a/l{l}/l{l}.{b}/Conv#1", "/a/l2/l2.0/Conv#1") == {"l": "2", "b": "0"}
        assert match("/a/l{l}/l{l}.{b}/Conv#1", "/a/l2/l3.0/Conv#1") is None

    def test_the_rest_of_a_name_is_carried_over(self):
        fields = match("encoder.{*}", "encoder.a.b.weight")
        assert fields is not None
        assert fill("inner.{*}", fields) == "inner.a.b.weight"

    def test_weight_norm_is_g_v_over_length_of_v(self):
        g, v = torch.tensor([[2.0]]), torch.tensor([[3.0, 4.0]])
        assert torch.allclose(fold_weight_norm(g, v), torch.tensor([[1.2, 1.6]]))

    def test_both_sides_are_named_when_nothing_fits(self):
        class Two:
            label = "some.pt"

            def shapes(self):
                return {"a": (1,), "b": (2,)}

            def tensor(self, name):
                return torch.zeros(self.shapes()[name])

        with pytest.raises(ValueError, match=r"some.pt.*unknown in the file: b; missing from it: "):
            assign(nn.Linear(1, 1), Two(), (Key("a", "bias"),))


class TestWhereFilesLie:
    """Folders as people have them."""

    def test_the_tokenizer_may_lie_inside_the_model_folder(self, copy, tmp_path):
        shutil.move(copy / TOKENS, copy / MODEL / "tok")
        convert(copy / MODEL, None, tmp_path / "out", Conversion(sizes=fake_release.TINY))
        assert (tmp_path / "out" / MANIFEST).is_file()

    def test_a_mirror_may_call_the_paraformer_model_pb(self, copy, tmp_path):
        folder = copy / TOKENS / fake_release.PARAFORMER
        (folder / "model.pt").rename(folder / "model.pb")
        converted(copy, tmp_path / "out")

    def test_one_shard_without_an_index_is_enough(self, tmp_path):
        fake_release.write(tmp_path / "one", shards=1)
        (tmp_path / "one" / MODEL / "model.safetensors.index.json").unlink()
        converted(tmp_path / "one", tmp_path / "out")

    def test_a_chat_template_tells_the_weights_of_2026(self, tmp_path):
        fake_release.write(tmp_path / "new", year="2026")
        found = find_release(tmp_path / "new" / MODEL, tmp_path / "new" / TOKENS)
        assert version_of(found) == "2026"
        assert version_of(found, "2025") == "2025"
        assert describe(found, sizes=fake_release.TINY).prompt_layout == "2026"

    def test_all_missing_files_are_named_at_once(self, copy, tmp_path):
        (copy / TOKENS / "linguistic_tokenizer.npy").unlink()
        next(copy.rglob("flow.pt")).unlink()
        with pytest.raises(ValueError, match=r"lack flow.pt, linguistic_tokenizer.npy"):
            converted(copy, tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestRawFolders:
    """A release dropped into the folder of bundles, not converted."""

    @pytest.fixture
    def registry(self, release, monkeypatch) -> Registry:
        """The folder that has both downloads, at toy sizes."""
        from stepedit_core.release import convert as module

        monkeypatch.setattr(module, "Sizes", lambda: fake_release.TINY)
        return Registry([release[0]], environment={})

    def test_it_is_listed_by_the_year_of_its_weights(self, registry):
        found = registry.locate("editx-2025")
        assert found.release is not None
        assert found.folder.name == MODEL

    def test_its_parts_hold_what_the_converted_bundle_holds(self, registry, bundle):
        raw = registry.load("editx-2025", device="cpu", precision="fp32")
        # a handle of its own: layers that have run hold their weights in another layout
        again = Registry().load(bundle.folder, device="cpu", precision="fp32")
        for part in raw.manifest.parts:
            wanted = again.part(part).state_dict()
            for name, value in raw.part(part).state_dict().items():
                assert torch.equal(value, wanted[name]), f"{part} {name}"
        assert raw.text.size == bundle.text.size

    def test_two_handles_share_its_parts(self, registry):
        first, second = (registry.load("editx-2025", device="cpu") for _ in range(2))
        assert first.part("flow") is second.part("flow")

    def test_an_incomplete_download_is_listed_with_what_it_lacks(self, copy, monkeypatch):
        next(copy.rglob("flow.pt")).unlink()
        with pytest.raises(ValueError, match=r"lack flow.pt"):
            Registry([copy], environment={}).locate(MODEL)

    def test_a_download_that_is_completed_is_seen_without_a_restart(self, copy, monkeypatch):
        from stepedit_core.release import convert as module

        monkeypatch.setattr(module, "Sizes", lambda: fake_release.TINY)
        path = next(copy.rglob("flow.pt"))
        path.rename(copy / "later.pt")
        registry = Registry([copy], environment={})
        assert isinstance(registry.list()[0], BrokenEntry)
        (copy / "later.pt").rename(path)
        assert isinstance(registry.list()[0], ReleaseEntry)


class TestStopping:
    """A run that is killed continues, and never leaves half a bundle."""

    def test_a_stopped_run_goes_on_behind_the_last_whole_tensor(self, copy, tmp_path, bundle):
        def stop(done: int, total: int) -> None:
            if done > total * 0.6:
                raise KeyboardInterrupt

        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            converted(copy, out, on_bytes=stop)
        assert not out.exists()
        growing = next(tmp_path.glob(".out.converting/*.part"))
        with growing.open("ab") as file:
            file.write(b"half a tensor")
        kept = sorted(tmp_path.glob(".out.converting/*.safetensors"))
        times = {path.name: path.stat().st_mtime_ns for path in kept}
        converted(copy, out)
        assert kept
        for name, moment in times.items():
            assert (out / name).stat().st_mtime_ns == moment
        again = json.loads((out / MANIFEST).read_text())["files"]
        assert again == json.loads((bundle.folder / MANIFEST).read_text())["files"]
        assert not list(tmp_path.glob(".out.converting"))

    def test_a_stopped_run_in_another_dtype_is_not_taken_over(self, copy, tmp_path):
        def stop(done: int, total: int) -> None:
            if done > total * 0.9:
                raise KeyboardInterrupt

        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            converted(copy, out, dtype="bf16", on_bytes=stop)
        assert (tmp_path / ".out.converting" / "llm.safetensors").exists()
        converted(copy, out, dtype="fp16")
        assert {dtype for dtype, _ in read_header(out / "llm.safetensors").values()} == {"F16"}

    def test_a_stopped_run_of_another_release_is_not_taken_over(self, copy, tmp_path):
        def stop(done: int, total: int) -> None:
            if done > total * 0.9:
                raise KeyboardInterrupt

        out = tmp_path / "out"
        with pytest.raises(KeyboardInterrupt):
            converted(copy, out, on_bytes=stop)
        path = next(copy.rglob("model-00001.safetensors"))
        raw = bytearray(path.read_bytes())
        raw[-7] ^= 64  # one other weight: names, shapes and sizes are the same
        path.write_bytes(raw)
        converted(copy, out)
        assert verify_conversion(copy / MODEL, copy / TOKENS, out, sizes=fake_release.TINY)

    def test_a_moved_and_touched_release_is_still_the_same(self, copy, tmp_path):
        before = source_digest(find_release(copy / MODEL, copy / TOKENS))
        moved = copy.rename(tmp_path / "moved")
        for path in moved.rglob("*"):
            os.utime(path, (1, 1))
        assert source_digest(find_release(moved / MODEL, moved / TOKENS)) == before

    def test_too_little_memory_is_said_before_the_first_byte(self, copy, tmp_path, monkeypatch):
        meminfo = tmp_path / "meminfo"
        meminfo.write_text("MemTotal: 900 kB\nMemAvailable: 500 kB\n")
        monkeypatch.setattr("stepedit_core.bundle.memory.MEMINFO", meminfo)
        with pytest.raises(ValueError, match=r"converting needs 1\.\d GB of memory and 0\.0 GB"):
            converted(copy, tmp_path / "out")
        assert list(tmp_path.glob(".out*")) == []

    def test_an_existing_folder_is_left_alone(self, copy, tmp_path):
        (tmp_path / "out").mkdir()
        with pytest.raises(ValueError, match="exists already"):
            converted(copy, tmp_path / "out")

    def test_a_full_disk_is_said_before_the_first_byte(self, copy, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(ValueError, match=r"needs .* GB .* free. Make room"):
            converted(copy, tmp_path / "out")
        assert list(tmp_path.glob(".out*")) == []


class _Payload:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("kind", ["int8", "int4"])
class TestQuantised:
    """A bundle whose language model has layers of 8 or 4 bits."""

    @pytest.fixture
    def small(self, release, tmp_path, kind) -> Path:
        converted(release[0], tmp_path / kind, quantize=kind)
        return tmp_path / kind

    def test_it_says_so_and_is_verified_against_the_release(self, release, small, kind):
        about = json.loads((small / MANIFEST).read_text())
        assert about["name"] == f"editx-2025-{kind}"
        assert about["llm_weights"] == kind
        folder = release[0]
        how = {"sizes": fake_release.TINY}
        rows = verify_conversion(folder / MODEL, folder / TOKENS, small, **how)
        assert rows[0][0] == "llm"
        assert not (small / SOURCE).exists()

    def test_another_quantised_weight_is_found(self, release, small):
        path = small / "llm.safetensors"
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(raw)
        about = json.loads((small / MANIFEST).read_text())
        about["files"][path.name]["sha256"] = sha256_of(path)
        (small / MANIFEST).write_text(json.dumps(about))
        with pytest.raises(ValueError, match="is not the released tensor"):
            verify_conversion(
                release[0] / MODEL, release[0] / TOKENS, small, sizes=fake_release.TINY
            )

    def test_it_equals_what_loading_the_16_bit_bundle_in_that_precision_makes(
        self, small, bundle, kind
    ):
        stored = Registry().load(small, device="cpu").llm
        at_load = Registry().load(bundle.folder, device="cpu", precision=kind).llm
        for (name, a), (_, b) in zip(
            stored.state_dict().items(), at_load.state_dict().items(), strict=True
        ):
            assert a.dtype == b.dtype, name
            assert torch.equal(a, b), name
        assert "model.layers.0.mlp.up_proj.scale" in stored.state_dict()

    def test_the_raw_folders_load_in_that_precision(self, release, small, kind, monkeypatch):
        from stepedit_core.release import convert as module

        monkeypatch.setattr(module, "Sizes", lambda: fake_release.TINY)
        raw = Registry([release[0]], {}).load("editx-2025", device="cpu", precision=kind).llm
        stored = Registry().load(small, device="cpu").llm
        for name, value in stored.state_dict().items():
            assert torch.equal(value, raw.state_dict()[name]), name

    def test_a_precision_it_no_longer_has_is_refused(self, small, kind):
        with pytest.raises(ValueError, match=f"has {kind} weights; allowed are auto and {kind}"):
            Registry().load(small, device="cpu", precision="bf16")

    def test_a_clip_is_edited_to_a_wave(self, small):
        noise = torch.randn(24_000, generator=torch.Generator().manual_seed(6)) * 0.1
        handle = Registry().load(small, device="cpu")
        clip = Clip(wave=noise, sample_rate=24_000)
        request = EditRequest(kind="emotion", option="happy", text="hello world")
        plan = make_plan(handle, clip, [request], seed=1, sampling=Sampling(max_ids=15))
        done = iterate(handle, clip, plan).final
        assert torch.isfinite(done.clip.wave).all()


def test_an_empty_part_is_built_once_when_a_release_is_loaded(release, monkeypatch):
    from stepedit_core.release import convert as module

    built: list[str] = []
    build = module.build_part
    monkeypatch.setattr(module, "build_part", lambda m, p: (built.append(p), build(m, p))[1])
    found = find_release(release[0] / MODEL, release[0] / TOKENS)
    about = describe(found, sizes=fake_release.TINY)
    module.load_released(found, about, "flow", device=torch.device("cpu"), dtype=torch.float32)
    assert built == ["flow"]


def test_a_language_model_of_any_size_is_drawn_tensor_by_tensor(tmp_path):
    tokenizer = fake_release.tokenizer_model()
    lm = fake_release.tiny_lm(tokenizer)
    networks = fake_release.write(tmp_path, tokenizer=tokenizer, lm=lm)
    assert "llm" not in networks
    converted(tmp_path, tmp_path / "out")
    assert Registry().load(tmp_path / "out", device="cpu").llm.config == lm


class TestDamage:
    """Files that are broken, hostile or another model's."""

    def refuse(self, folder: Path, tmp_path: Path, pattern: str) -> None:
        with pytest.raises(ValueError, match=pattern):
            converted(folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_pickle_with_code_is_refused_and_never_run(self, copy, tmp_path):
        trace = tmp_path / "trace"
        path = next(copy.rglob("flow.pt"))
        torch.save({"weight": torch.ones(2), "x": _Payload(trace)}, path)
        self.refuse(copy, tmp_path, r"'flow.pt' has more than tensors and was not opened")
        assert not trace.exists()

    def test_a_bare_pickle_with_code_is_refused_and_never_run(self, copy, tmp_path):
        trace = tmp_path / "trace"
        path = next(copy.rglob("hift.pt"))
        path.write_bytes(pickle.dumps(_Payload(trace)))
        self.refuse(copy, tmp_path, r"hift.pt")
        assert not trace.exists()

    def test_a_cut_shard_is_named(self, copy, tmp_path):
        path = copy / MODEL / "model-00001.safetensors"
        path.write_bytes(path.read_bytes()[:-5000])
        self.refuse(copy, tmp_path, r"'model-00001.safetensors' is damaged")

    def test_a_header_that_lies_is_named(self, copy, tmp_path):
        path = copy / MODEL / "model-00001.safetensors"
        path.write_bytes((2**60).to_bytes(8, "little") + path.read_bytes()[8:])
        self.refuse(copy, tmp_path, r"'model-00001.safetensors' is not .* it claims a header of")

    def test_a_missing_shard_is_named(self, copy, tmp_path):
        (copy / MODEL / "model-00002.safetensors").unlink()
        self.refuse(copy, tmp_path, r"lacks model-00002.safetensors")

    def test_an_index_may_not_lead_out_of_the_folder(self, copy, tmp_path):
        index = copy / MODEL / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
        self.refuse(copy, tmp_path, r"plain names are allowed")

    def test_a_cut_torch_file_is_named(self, copy, tmp_path):
        path = next(copy.rglob("flow.pt"))
        path.write_bytes(path.read_bytes()[:2000])
        self.refuse(copy, tmp_path, r"'flow.pt' is not a readable torch file")

    def test_a_torch_file_of_another_model_names_both_sides(self, copy, tmp_path):
        torch.save({"other.weight": torch.ones(3)}, next(copy.rglob("flow.pt")))
        self.refuse(copy, tmp_path, r"unknown in the file: other.weight; missing from it: decoder")

    def test_an_onnx_graph_of_another_model_is_named(self, copy, tmp_path):
        path = next(copy.rglob("campplus.onnx"))
        path.write_bytes((copy / TOKENS / "speech_tokenizer_v1.onnx").read_bytes())
        self.refuse(copy, tmp_path, r"campplus.onnx does not fit the network")

    def test_no_onnx_file_is_named(self, copy, tmp_path):
        (copy / TOKENS / "speech_tokenizer_v1.onnx").write_bytes(b"\xff" * 99)
        self.refuse(copy, tmp_path, r"speech_tokenizer_v1.onnx is not a readable ONNX file")

    def test_weights_outside_the_onnx_file_are_not_followed(self, copy, tmp_path):
        path = copy / TOKENS / "speech_tokenizer_v1.onnx"
        model = onnx.load(str(path))
        first = model.graph.initializer[0]
        first.data_location = onnx.TensorProto.EXTERNAL
        first.external_data.add(key="location", value="/etc/passwd")
        path.write_bytes(model.SerializeToString())
        self.refuse(copy, tmp_path, r"keeps its weights in another file")

    def test_a_norm_with_values_where_ours_has_none_is_refused(self, copy, tmp_path):
        path = next(copy.rglob("campplus.onnx"))
        model = onnx.load(str(path))
        norms = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
        node = next(n for n in norms if n.name.startswith("/xvector/dense/"))
        scale = onnx.numpy_helper.from_array(np.full(192, 2, np.float32), "scale")
        model.graph.initializer.append(scale)
        node.input[1] = "scale"
        path.write_bytes(model.SerializeToString())
        self.refuse(copy, tmp_path, r"other values than 1")

    def test_a_codebook_with_objects_is_refused(self, copy, tmp_path):
        np.save(copy / TOKENS / "linguistic_tokenizer.npy", np.array([{}]), allow_pickle=True)
        self.refuse(copy, tmp_path, r"linguistic_tokenizer.npy is not a readable .npy matrix")

    def test_a_short_cmvn_is_named(self, copy, tmp_path):
        path = copy / TOKENS / fake_release.PARAFORMER / "am.mvn"
        path.write_text("<AddShift> 3 3\n<LearnRateCoef> 0 [ 1 2 3 ]\n")
        self.refuse(
            copy, tmp_path, r"am.mvn has 3 numbers after <AddShift>; 560 finite ones are expected"
        )

    def test_a_tokenizer_without_audio_ids_is_refused(self, copy, tmp_path):
        from tests import tiny_bundle

        (copy / MODEL / "tokenizer.model").write_bytes(tiny_bundle.tokenizer_model())
        self.refuse(copy, tmp_path, r"has no audio ids that fit")

    @pytest.mark.parametrize(
        ("change", "pattern"),
        [
            ({"hidden_size": None}, "config.json.hidden_size is null; a whole number is expected"),
            ({"tie_word_embeddings": True}, "tie_word_embeddings"),
            ({"num_hidden_layers": -1}, "num_hidden_layers is -1; allowed are 1 to 1000"),
        ],
    )
    def test_a_wrong_config_is_named(self, copy, tmp_path, change, pattern):
        path = copy / MODEL / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        self.refuse(copy, tmp_path, pattern)

    def test_newer_config_keys_are_left_alone(self, copy):
        path = copy / MODEL / "config.json"
        config = json.loads(path.read_text()) | {"rope_theta": 1.0, "tie_word_embeddings": False}
        assert lm_config(config).hidden_size == config["hidden_size"]

    def test_an_older_config_without_a_size_names_it(self):
        with pytest.raises(ValueError, match=r"config.json lacks hidden_size"):
            lm_config({"vocab_size": 5})


def test_the_archive_inside_the_paraformer_file_is_called_as_published(release):
    path = release[0] / TOKENS / fake_release.PARAFORMER / "model.pt"
    assert all(n.startswith("pytorch_model/") for n in zipfile.ZipFile(path).namelist())


class TestKills:
    """A conversion that is killed at every change of the disk."""

    def test_it_resumes_and_leaves_nothing_beside_the_bundle(self, release, tmp_path):
        folder, place = release[0], tmp_path / "models" / "out"
        total = events(lambda: converted(folder, place))
        whole = {path.name: sha256_of(path) for path in place.iterdir()}
        assert total > 20
        for number in range(total):
            shutil.rmtree(place.parent)
            assert events(lambda: converted(folder, place), kill_at=number) == -1
            if place.exists():  # only the lock is left to be removed
                assert {path.name: sha256_of(path) for path in place.iterdir()} == whole
                continue
            assert Registry([place.parent], {}).list()[:-1] == []  # the shipped one alone
            converted(folder, place)
            assert {path.name: sha256_of(path) for path in place.iterdir()} == whole
            assert [path.name for path in place.parent.iterdir()] == ["out"]
