"""Scripts as CSV, JSON lines and SRT: the same lines, and one sentence for each broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepedit_core.pipelines.script_files import read_script, script_from_text
from stepedit_core.pipelines.script_lines import (
    AnyLine,
    BrokenLine,
    Defaults,
    ScriptEdit,
    ScriptLine,
    edits_of,
)

HAPPY = ScriptEdit(kind="emotion", option="happy", rounds=2, strength=0.8, words="so happy")
FASTER = ScriptEdit(kind="speed", option="more faster")
LINE = ScriptLine(
    id="a", file="in.wav", start=1.0, end=3.5, text="I am so happy", edits=(HAPPY, FASTER), fit=2.0
)
EDITS = 'emotion:happy rounds=2 strength=0.8 words="so happy"; speed:more faster'


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_an_edit_is_read_from_a_text() -> None:
    assert edits_of(EDITS, "here") == (HAPPY, FASTER)
    (sounds,) = edits_of('sounds:"well; [Laughter] so=so"', "here")
    assert (sounds.kind, sounds.option) == ("sounds", "well; [Laughter] so=so")
    assert edits_of("denoise;", "here") == (ScriptEdit(kind="denoise"),)
    ranged = edits_of("emotion:sad start=1 end=2.5 engine=model", "here")[0]
    assert (ranged.start, ranged.end, ranged.engine) == (1.0, 2.5, "model")


def test_the_three_kinds_of_file_say_the_same(tmp_path: Path) -> None:
    quoted = EDITS.replace('"', '""')
    csv = f'\ufeffid,file,start,end,text,edits,fit\r\na,in.wav,1,3.5,I am so happy,"{quoted}",2\r\n'
    assert read_script(written(tmp_path, "a.csv", csv)) == [LINE]
    objects = (
        '{"id": "a", "file": "in.wav", "start": 1, "end": 3.5, "text": "I am so happy", "fit": 2, '
        '"edits": [{"kind": "emotion", "option": "happy", "rounds": 2, "strength": 0.8, "words": '
        '"so happy"}, "speed:more faster"]}\n'
    )
    assert read_script(written(tmp_path, "a.jsonl", objects)) == [LINE]
    (tmp_path / "in.wav").touch()
    srt = f"1\n00:00:01,000 --> 00:00:03,500\n{{{EDITS}}} <i>I am</i>\nso happy\n\n"
    (line,) = read_script(written(tmp_path, "in.srt", srt), Defaults(fit=2.0))
    assert line == ScriptLine(**{**vars(LINE), "id": "0001"})


def test_fit_to_the_slot_is_the_length_of_the_range(tmp_path: Path) -> None:
    rows = "id,file,start,end,edits,fit\na,x.wav,1,3.25,denoise,slot\nb,x.wav,,,denoise,slot\n"
    first, second = read_script(written(tmp_path, "a.csv", rows))
    assert isinstance(first, ScriptLine)
    assert first.fit == 2.25
    assert isinstance(second, BrokenLine)
    assert "has no start and end" in second.error


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ('{"id": "a"', "line 2 is not JSON"),
        ('{"id": "a", "file": "x.wav"}', "neither edits nor a length"),
        ('{"id": "a", "edits": "denoise"}', "names no file"),
        ('{"id": "../a", "file": "x.wav", "edits": "denoise"}', "the name of a file"),
        ('{"id": "a", "file": "x.wav", "edits": "happy"}', "allowed are emotion, style"),
        ('{"id": "a", "file": "x.wav", "edits": "emotion:happy rounds=11"}', "allowed are 1 to 10"),
        ('{"id": "a", "file": "x.wav", "edits": "emotion:happy rounds=two"}', "a number is needed"),
        ('{"id": "a", "file": "x.wav", "edits": "emotion:happy strength=3"}', "0 to 2"),
        (
            '{"id": "a", "file": "x.wav", "edits": "denoise", "start": 2, "end": 1}',
            "before the end",
        ),
        ('{"id": "a", "file": "x.wav", "edits": "denoise", "start": 2}', "start or an end alone"),
        ('{"id": "a", "file": "x.wav", "edits": "denoise", "to": 2}', "the unknown key 'to'"),
        ('{"id": "a", "file": "x.wav", "edits": "denoise", "fit": -1}', "allowed are 0 to 3600"),
        (
            '{"id": "a", "file": "x.wav", "edits": "emotion:happy start=1 end=2; '
            'style:whisper start=1.5 end=3"}',
            "overlap: one ends at 2.00 s, the next begins at 1.50 s",
        ),
        ('{"id": "a", "file": "x.wav", "edits": 5}', "edits is the value 5; a list or a text"),
        ('{"id": "a", "file": "x.wav", "edits": {"kind": "denoise"}}', "edits is an object"),
        ('{"id": "a", "file": "x.wav", "edits": "denoise rounds=1e400"}', "a number is needed"),
        ('{"id": "good", "file": "x.wav", "edits": "denoise"}', "is used twice"),
        ('{"id": "a", "file": "x.wav", "edits": "denoise", "fit": 0}', "line 2 should be 0 s long"),
        ('{"id": "a", "file": "x.wav", "edits": "denoise rounds=1 rounds=2"}', "'rounds' twice in"),
        ('{"id": "a" "file"}', "line 2 is not JSON (wrong at column 12)"),
    ],
)
def test_a_broken_line_is_one_sentence_and_the_others_are_read(
    tmp_path: Path, row: str, found: str
) -> None:
    good = '{"id": "good", "file": "x.wav", "edits": "denoise"}\n'
    first, second, third = read_script(
        written(tmp_path, "a.jsonl", good + row + "\n" + good.replace('"good"', "3"))
    )
    assert isinstance(first, ScriptLine)
    assert isinstance(third, ScriptLine)
    assert third.id == "3"
    assert isinstance(second, BrokenLine)
    assert found in second.error
    assert "\n" not in second.error


def test_a_seed_is_whole_and_keeps_its_digits(tmp_path: Path) -> None:
    rows = "id,file,edits,seed\na,x.wav,denoise,18446744073709551615\nb,x.wav,denoise,1.5\n"
    first, second = read_script(written(tmp_path, "a.csv", rows))
    assert getattr(first, "seed", None) == 2**64 - 1
    assert "seed is '1.5'" in getattr(second, "error", "")


def test_a_length_of_nothing_is_refused_in_a_table_too(tmp_path: Path) -> None:
    rows = "id,file,edits,fit\na,x.wav,denoise,0\nb,x.wav,denoise,\n"
    first, second = read_script(written(tmp_path, "a.csv", rows))
    assert "line 2 should be 0 s long" in getattr(first, "error", "")
    assert getattr(second, "fit", None) == 0.0


def test_broken_lines_of_the_other_kinds(tmp_path: Path) -> None:
    rows = 'id,file,edits\na,"x.wav,denoise\nb,x.wav,denoise,more\nc,x.wav,denoise\n'
    lines = read_script(written(tmp_path, "a.csv", rows))
    assert [type(line).__name__ for line in lines] == ["BrokenLine", "BrokenLine", "ScriptLine"]
    assert "line 2 is not CSV" in getattr(lines[0], "error", "")
    assert "4 cells for 3 columns" in getattr(lines[1], "error", "")
    srt = "1\n00:00:01 --> 2\nwords\n\n2\n00:00:01,000 --> 00:00:02,000\nwords\n"
    lines = read_script(
        written(tmp_path, "b.srt", srt),
        Defaults(edits=edits_of("denoise", "here"), recording="x.wav"),
    )
    assert "times of a subtitle" in getattr(lines[0], "error", "")
    assert (lines[1].id, getattr(lines[1], "text", "")) == ("0002", "words")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.txt", "x", "is not a script"),
        ("a.csv", "", "has no lines"),
        ("a.csv", "id,file,what\n", "names the column 'what'; known"),
        ("a.csv", "id,id,file\n", "names the column 'id' twice; known"),
        ("a.jsonl", "\n\n", "has no lines"),
    ],
)
def test_what_is_not_a_script_is_refused(tmp_path: Path, name: str, text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        read_script(written(tmp_path, name, text))


def test_a_text_shows_which_kind_it_is() -> None:
    for text in (
        "id,file,edits\na,in.wav,emotion:happy\n",
        '\n{"id": "a", "file": "in.wav", "edits": "emotion:happy"}\n',
        "1\n00:00:01,000 --> 00:00:02,000\n{emotion:happy} so\n",
    ):
        (line,) = script_from_text(text, Defaults(recording="in.wav"))
        assert isinstance(line, ScriptLine)
        assert (line.file, line.edits[0].option) == ("in.wav", "happy")
    with pytest.raises(ValueError, match="the script has no lines"):
        script_from_text(" \n")


DEFAULTS = Defaults(edits=edits_of("denoise", "here"), recording="x.wav")


def named(lines: list[AnyLine]) -> list[tuple[str, bool]]:
    """The id of each line and whether it is good."""
    return [(line.id, isinstance(line, ScriptLine)) for line in lines]


def test_a_broken_line_keeps_its_own_id_and_never_refuses_a_good_one(tmp_path: Path) -> None:
    rows = [
        "id,file,start,end,edits",
        "back,x.wav,2,1,denoise",  # a range that runs backwards
        "0002,x.wav,0,1,denoise",  # the number of the line above in the file
        "../no,x.wav,0,1,denoise",
        "nan,x.wav,nan,1,denoise",
        "many,x.wav,0,1,denoise,more",
        "good,x.wav,nan,1,denoise",
        "good,x.wav,0,1,denoise",
        "GOOD,x.wav,0,1,denoise",
        ",x.wav,0,1,denoise",
        "0010,x.wav,0,1,denoise",  # the number of the line above, which has no id
    ]
    lines = read_script(written(tmp_path, "a.csv", "\n".join(rows)))
    assert named(lines) == [
        *(("back", False), ("0002", True), ("(line 4)", False), ("nan", False), ("many", False)),
        *(("good (line 7)", False), ("good", True), ("GOOD (line 9)", False)),
        *(("line 0010", True), ("0010", True)),
    ]


def test_subtitles_keep_their_numbers_and_say_braces_and_times_that_run_backwards(
    tmp_path: Path,
) -> None:
    blocks = [
        "2\nx\ny",
        "2\n00:00:01,000 --> 00:00:02,000\ngood",
        "3\n00:00:04,000 --> 00:00:03,000\nbackwards",
        "4\n00:00:01,000 --> 00:00:02,000\n{speed:faster I was",
        "5\n00:00:01,000 --> 00:00:02,000\n{speed:faster} I was} walking",
        "²\n00:00:01,000 --> 00:00:02,000\nraised",
    ]
    for fit in (0.0, "slot"):
        defaults = Defaults(edits=DEFAULTS.edits, recording="x.wav", fit=fit)
        lines = read_script(written(tmp_path, "a.srt", "\n\n".join(blocks)), defaults)
        assert named(lines) == [
            *(("0002 (line 1)", False), ("0002", True), ("0003", False)),
            *(("0004", False), ("0005", False), ("(line 21)", False)),
        ]
        errors = [getattr(line, "error", "") for line in lines]
        assert "from 4 to 3 s; the end comes after the start" in errors[2]
        assert "line 15 has a '{' among its words" in errors[3]
        assert "line 19 has a '}' among its words" in errors[4]


def test_a_slot_that_runs_backwards_is_said_as_a_range() -> None:
    row = '{"id": "a", "file": "x.wav", "start": 4, "end": 3, "fit": "slot", "edits": "denoise"}'
    (line,) = script_from_text(row)
    assert line.id == "a"
    assert "should fit its slot from 4 to 3 s" in getattr(line, "error", "")


def test_line_ends_of_old_macs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,file,edits\ra,x.wav,denoise\rb,x.wav,denoise\r")
    assert named(read_script(path)) == [("a", True), ("b", True)]


def test_half_a_character_in_an_id_is_a_sentence_of_its_own() -> None:
    (line,) = script_from_text("id,file,edits\na\ud800,x.wav,denoise\n")
    assert line.id == "(line 2)"
    assert "line 2.id is 'a\\ud800', which has half of a letter" in getattr(line, "error", "")
