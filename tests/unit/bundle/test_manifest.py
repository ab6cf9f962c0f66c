"""bundle.json: what is written comes back, everything else is refused with one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepedit_core.bundle.manifest import read_manifest, sha256_of, verify
from tests import tiny_bundle


def change(folder: Path, **values: Any) -> None:
    """Set top-level keys of bundle.json."""
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def component(folder: Path, part: str, **values: Any) -> dict[str, Any]:
    """The components of bundle.json with some keys of one changed."""
    components = json.loads((folder / "bundle.json").read_text())["components"]
    components[part].update(values)
    return components


def test_what_is_written_comes_back(bundles: Path):
    about = read_manifest(bundles / "tiny")
    wanted = tiny_bundle.manifest()
    assert about.components == wanted.components
    assert about.edit_options == wanted.edit_options
    assert about.vocabulary.codebook == "tiny-1"
    assert about.card == {"data": "none"}


def test_every_file_is_listed_with_its_size_and_digest(bundles: Path):
    folder = bundles / "tiny"
    about = read_manifest(folder)
    on_disk = {path.name for path in folder.iterdir()} - {"bundle.json"}
    assert set(about.files) == on_disk
    for name, entry in about.files.items():
        assert entry.size == (folder / name).stat().st_size
        assert entry.sha256 == sha256_of(folder / name)
    assert verify(folder) == about


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        verify(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_bundle_json_is_refused(tmp_path: Path):
    refused(tmp_path, "has no bundle.json")


def test_a_bundle_json_that_is_no_json_is_refused(copy: Path):
    (copy / "bundle.json").write_text('{"name": ')
    refused(copy, "bundle.json is not JSON")


def test_a_bundle_json_that_is_binary_is_refused(copy: Path):
    (copy / "bundle.json").write_bytes(b"\xff\xfe\x00")
    refused(copy, "not UTF-8 text")


def test_a_deeply_nested_bundle_json_is_refused(copy: Path):
    (copy / "bundle.json").write_text("[" * 200_000)
    refused(copy, "bundle.json is nested too deep; 40 is allowed")


def test_a_huge_bundle_json_is_refused(copy: Path):
    (copy / "bundle.json").write_text(" " * (2**20 + 1))
    refused(copy, "bytes; allowed are 1048576")


def test_a_newer_format_is_refused(copy: Path):
    change(copy, format=2)
    refused(copy, "has format 2; this version reads 1")


def test_an_unknown_key_is_refused(copy: Path):
    change(copy, colour="red")
    refused(copy, "unknown key 'colour'")


def test_a_wrong_type_in_a_config_is_refused(copy: Path):
    change(copy, components=component(copy, "llm", hidden_size="32"))
    refused(copy, "llm.hidden_size is text; a whole number is expected")


def test_an_unknown_key_in_a_config_is_refused(copy: Path):
    change(copy, components=component(copy, "flow", colour=1))
    refused(copy, "bundle.json flow has the unknown key 'colour'")


def test_an_unknown_vocoder_is_refused(copy: Path):
    change(copy, vocoder="griffin")
    refused(copy, "vocoder is text|vocoder is the value|vocoder is")


def test_a_missing_component_is_refused(copy: Path):
    components = component(copy, "llm")
    del components["flow"]
    change(copy, components=components)
    refused(copy, "lacks the component 'flow'")


@pytest.mark.parametrize("name", ["../evil.safetensors", "/etc/passwd", "a\\b", ".."])
def test_a_file_name_that_leads_out_of_the_bundle_is_refused(copy: Path, name: str):
    files = json.loads((copy / "bundle.json").read_text())["files"]
    change(copy, files={**files, name: {"size": 1, "sha256": "0"}})
    refused(copy, "leads out of the bundle")


def test_a_pickle_beside_the_weights_is_refused(copy: Path):
    files = json.loads((copy / "bundle.json").read_text())["files"]
    change(copy, files={**files, "llm.pt": {"size": 1, "sha256": "0"}})
    refused(copy, "unknown file 'llm.pt'")


def test_a_missing_file_is_refused(copy: Path):
    (copy / "flow.safetensors").unlink()
    refused(copy, "lacks flow.safetensors. Copy the file")


def test_a_cut_file_is_refused(copy: Path):
    path = copy / "flow.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    refused(copy, "flow.safetensors of bundle 'tiny' has .* bytes; .* are expected")


def test_a_changed_file_of_equal_size_is_refused(copy: Path):
    path = copy / "flow.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    refused(copy, "has another sha256")
