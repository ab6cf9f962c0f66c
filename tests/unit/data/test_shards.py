"""Shards: what is written is read back, once, and belongs together."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from stepedit_core.data.shards import Dataset, Writer

from .examples import codes, example, same_codes


def test_what_is_written_is_read_back(tmp_path: Path):
    pair = replace(example(2), kind="pair", rejected=codes(2, 77), margin=8.5)
    with Writer(tmp_path / "d", "tiny-1", shard_examples=2) as writer:
        assert [writer.add(e) for e in (example(0), example(1), pair)] == [True] * 3
    found = list(Dataset(tmp_path / "d"))
    for written, read in zip((example(0), example(1), pair), found, strict=True):
        for side in ("source", "target", "rejected"):
            assert same_codes(getattr(written, side), getattr(read, side))
        assert (read.request, read.margin, read.key) == (
            written.request,
            written.margin,
            written.key,
        )
        assert (read.licence, read.provenance, read.kind) == ("CC0-1.0", "test", written.kind)
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == [
        "data-00000.jsonl",
        "data-00000.safetensors",
        "data-00001.jsonl",
        "data-00001.safetensors",
        "dataset.json",
    ]


def test_the_files_are_what_the_format_says(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0))
        writer.add(example(1))
    header = read_header_raw(tmp_path / "d" / "data-00000.safetensors")
    assert header["linguistic"]["dtype"] == header["semantic"]["dtype"] == "I16"
    assert header["linguistic"]["shape"] == [2 * (3 + 4 + 3 + 4)]
    assert header["semantic"]["shape"] == [3 * 14]
    line = json.loads((tmp_path / "d" / "data-00000.jsonl").read_text().splitlines()[1])
    assert (line["source"], line["target"], "rejected" in line) == ([7, 3], [10, 4], False)
    assert line["edit"] == {"kind": "emotion", "option": "happy"}
    assert len(line["id"]) == 32


def read_header_raw(path: Path) -> dict[str, dict[str, object]]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length])


def test_equal_examples_are_stored_once_over_several_runs(tmp_path: Path):
    for _ in range(2):
        with Writer(tmp_path / "d", "tiny-1") as writer:
            writer.add(example(0))
            writer.add(replace(example(0), speaker="another", key="other"))
    assert len(Dataset(tmp_path / "d")) == 1


def test_answers_of_one_work_order_never_end_up_in_two_shards(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1", shard_examples=2) as writer:
        writer.add_all([example(n) for n in range(5)])
        writer.add_all([example(9)])
    sizes = [len(p.read_text().splitlines()) for p in sorted((tmp_path / "d").glob("*.jsonl"))]
    assert sizes == [5, 1]


def test_another_codebook_is_refused(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        with pytest.raises(ValueError, match=r"codebook 'other-1'; this folder takes 'tiny-1'"):
            writer.add(replace(example(0), target=codes(4, 0, "other-1")))
        writer.add(example(0))
    with pytest.raises(ValueError, match=r"has codes of codebook 'tiny-1'; these are of 'other-1'"):
        Writer(tmp_path / "d", "other-1")


@pytest.mark.parametrize(
    ("text", "words"), [(None, "has no dataset.json"), ('{"format": 9}', "has format 9; this")]
)
def test_a_folder_that_is_no_data_is_named(tmp_path: Path, text: str | None, words: str):
    if text:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        Dataset(tmp_path)


@pytest.mark.parametrize("name", ["data-x.jsonl", "data-00000 copy.jsonl", "data-0.jsonl"])
def test_a_file_with_nearly_the_name_of_a_shard_does_not_count(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
):
    out = tmp_path / "d"
    with Writer(out, "tiny-1") as writer:
        writer.add(example(0))
    (out / name).write_bytes((out / "data-00000.jsonl").read_bytes())
    with Writer(out, "tiny-1") as writer:
        writer.add(example(1))
    assert len(Dataset(out)) == 2
    assert f"'{name}' in 'd' is not counted" in caplog.text


def test_a_copy_of_a_shard_is_not_counted_twice(tmp_path: Path):
    out = tmp_path / "d"
    with Writer(out, "tiny-1") as writer:
        writer.add(example(0))
    for ending in ("jsonl", "safetensors"):
        (out / f"data-00007.{ending}").write_bytes((out / f"data-00000.{ending}").read_bytes())
    with pytest.raises(ValueError, match=r"has an example of 'data-00000\.jsonl' again"):
        Dataset(out)


@pytest.mark.parametrize("kind", ["lost", "pipe", "folder"])
def test_shards_without_their_dataset_json_are_not_added_to(tmp_path: Path, kind: str):
    out = tmp_path / "d"
    with Writer(out, "tiny-1") as writer:
        writer.add(example(0))
    about = out / "dataset.json"
    about.unlink()
    if kind != "lost":
        os.mkfifo(about) if kind == "pipe" else about.mkdir()
    before = sorted(out.iterdir())
    with pytest.raises(ValueError, match=r"has shards and no dataset|plain file|is a folder"):
        Writer(out, "tiny-1")
    assert sorted(out.iterdir()) == before


def test_half_a_shard_is_never_replaced(tmp_path: Path):
    out = tmp_path / "d"
    with Writer(out, "tiny-1") as writer:
        writer.add(example(0))
    (out / "data-00001.safetensors").write_bytes(b"mine")
    with Writer(out, "tiny-1") as writer:
        writer.add(example(1))
    assert (out / "data-00001.safetensors").read_bytes() == b"mine"
    assert len(Dataset(out)) == 2


def test_a_shard_without_examples_is_said(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0))
    (tmp_path / "d" / "data-00000.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"'data-00000\.jsonl' of 'd' has no examples"):
        Dataset(tmp_path / "d")
