"""Training data from a graph: triplets, quadruplets and preference pairs into a data folder.

The folders are those of the command `stepedit data` (stepedit_core/data/records.py). Each of these
nodes takes whole lists, so that all items of a run make one shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import host, inputs
from .compat import StepEditEdit, StepEditTokens, advanced, schema
from .picture import as_tensor

if TYPE_CHECKING:
    from ..stepedit_core.data.records import Example
    from ..stepedit_core.data.shards import Writer
    from ..stepedit_core.registry.handle import Bundle
    from ..stepedit_core.types import DualCodes, EditRequest
    from .instructions import Edit

SPLITS = ("train", "dev")
ABOUT = ("speaker", "language", "split", "provenance", "licence")
"""Inputs that go into every line as they are."""
ALIASES = ["dataset", "training data", "margin", "reinforcement learning"]


def _folder(default: str) -> io.Input:
    return io.String.Input(
        "folder",
        default=default,
        tooltip="Data folder below ComfyUI's output folder. What it holds stays, equal examples "
        "are stored once; it takes the tokens of one model only.",
    )


def _about() -> list[Any]:
    """Who speaks, in which language, for training or held out, from where, on what terms."""
    return [
        io.String.Input(
            "speaker",
            default="",
            tooltip="Name of the voice, any word. Voices that are held out must not be trained on.",
        ),
        advanced(
            io.String.Input,
            "language",
            default="",
            tooltip="Language of the words as a code, for example en or zh; may stay empty.",
        ),
        advanced(
            io.Combo.Input,
            "split",
            options=list(SPLITS),
            default=SPLITS[0],
            tooltip="train: learnt from. dev: held out, only measured on.",
        ),
        advanced(
            io.String.Input,
            "provenance",
            default="",
            tooltip="Where the recordings come from, in your own words; kept with every example.",
        ),
        advanced(
            io.String.Input,
            "licence",
            default="",
            tooltip="Terms of the recordings, for example CC-BY-4.0; kept with every example.",
        ),
    ]


def _edit() -> io.Input:
    return StepEditEdit.Input(
        "edit", tooltip="The one edit that leads from the source to the result."
    )


def _outputs(found: str) -> list[Any]:
    return [
        io.String.Output(
            display_name="folder",
            tooltip="The data folder below the output folder, for the command `stepedit data`.",
        ),
        io.Float.Output(display_name="margins", is_output_list=True, tooltip=found),
        io.String.Output(
            display_name="text",
            tooltip="What was new, and a table of the whole folder: examples, hours, margins.",
        ),
        io.Image.Output(
            display_name="chart", tooltip="Bars: examples of the folder by class and by margin."
        ),
    ]


MARGINS = "Margin score of each item, 1 to 10, no unit; 0 where the scorer does not know the edit."


class _DataNode(io.ComfyNode):
    """What the three nodes check before a graph runs."""

    @classmethod
    def validate_inputs(
        cls, folder: list[str] | None = None, split: list[str] | None = None
    ) -> bool | str:
        """The folder lies below the output folder; core 0.3.75 checks no combo. Lists are given."""
        try:
            for name in folder or ():
                host.check_prefix(name, "folder", "stepedit/data")
        except ValueError as error:
            return str(error)
        said = (inputs.one_of("split", one, SPLITS) for one in split or ())
        return next((one for one in said if one is not True), True)


def _only(edit: Sequence[Edit], text: str) -> EditRequest:
    """The request of an edit list that must hold one."""
    if len(edit) != 1 or len(edit[0]) != 1:
        found = sum(map(len, edit))
        raise ValueError(
            f"the edit asks for {found} changes; an example holds 1. Connect one edit node."
        )
    return replace(edit[0][0], text=text)


def _items(**given: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Lists side by side; one of length 1 serves all. ValueError where lengths differ."""
    most = max(map(len, given.values()))
    for name, values in given.items():
        if len(values) not in (1, most):
            lengths = ", ".join(f"{len(v)} of {n}" for n, v in given.items())
            raise ValueError(
                f"the lists differ in length: {lengths}; {name} must hold 1 or {most}. Connect "
                "lists that belong together."
            )
    columns = [list(v) * (most if len(v) == 1 else 1) for v in given.values()]
    return list(zip(*columns, strict=True))


def _writer(folder: str, bundle: Bundle) -> Writer:
    from ..stepedit_core.data.shards import Writer

    about = {"bundle": bundle.name, "sha256": bundle.sha256}
    return Writer(host.data_folder(folder), bundle.manifest.codebook, about)


def _told(folder: str, new: int, of: str, margins: list[float], *, none: str = "") -> io.NodeOutput:
    """What all three nodes return: the folder as it is now; `none` says why nothing was kept."""
    from ..stepedit_core.data.shards import Dataset
    from ..stepedit_core.data.stats import stats_picture, stats_table

    lines = Dataset(host.data_folder(folder)).lines
    text = "\n\n".join([*filter(None, [none]), f"{new} new {of}", stats_table(lines)])
    host.say(none or f"{new} new, {len(lines)} in all")
    chart = as_tensor(stats_picture(lines))
    return io.NodeOutput(folder, margins, text, chart, ui={"text": [text]})


def _sides(text: str) -> list[Any]:
    """Inputs of the two builders before those about the recording."""
    return [
        inputs.model(),
        StepEditTokens.Input(
            "source_tokens", tooltip="The speech before the edit; one, or a list."
        ),
        StepEditTokens.Input(
            "target_tokens",
            tooltip="The speech as it should become, same voice; a list of the same length.",
        ),
        _edit(),
        io.String.Input("text", multiline=True, default="", tooltip=text),
    ]


def _build(
    model: host.LoadedModel,
    sources: Sequence[DualCodes],
    targets: Sequence[DualCodes],
    requests: Sequence[EditRequest],
    folder: str,
    about: dict[str, list[str]],
    *,
    least: float = 0.0,
) -> io.NodeOutput:
    """Score both sides of every item, keep the large margins, write one shard."""
    from ..stepedit_core.data.build import scored_example

    model.check(requests)
    items = _items(source_tokens=sources, target_tokens=targets, text=requests)
    model.check_tokens(*sources, *targets)
    bundle = model.ready(max(a.seconds + b.seconds for a, b, _ in items))
    facts = {name: about[name][0] for name in ABOUT}
    hooks = host.GraphHooks()
    made: list[Example] = []
    for number, (source, target, request) in enumerate(items, start=1):
        hooks.check()
        made.append(scored_example(bundle, request, source, target, **facts))
        hooks.progress("score", number, len(items))
    kept = [e for e in made if e.margin is None or e.margin >= least]
    with _writer(folder, bundle) as writer:
        new = writer.add_all(kept)
    of = f"of {len(made)}, {len(made) - len(kept)} below the least margin"
    return _told(folder, new, of, [e.margin or 0.0 for e in made])


class TripletBuilder(_DataNode):
    """Triplet Builder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Neutral and acted speech with the same words in."""
        return schema(
            node_id="StepEdit_TripletBuilder",
            display_name="Triplet Builder",
            description="Keeps speech and the same words with another emotion, style or speed as "
            "training data, with the margin score. The command `stepedit train` reads it.",
            search_aliases=["triplet", *ALIASES],
            is_output_node=True,
            is_input_list=True,
            inputs=[
                *_sides("The words of both clips; one text, or a list of the same length."),
                _folder("stepedit/data/triplets"),
                io.Float.Input(
                    "least_margin",
                    default=6.0,
                    min=1.0,
                    max=10.0,
                    step=0.5,
                    tooltip="Keep items that score this or more, 1 to 10: 6 is the report's, 1 "
                    "keeps all. Edits that the scorer does not know are kept.",
                ),
                *_about(),
            ],
            outputs=_outputs(MARGINS),
        )

    @classmethod
    def execute(
        cls,
        model: list[host.LoadedModel],
        source_tokens: list[DualCodes],
        target_tokens: list[DualCodes],
        edit: list[Edit],
        text: list[str],
        folder: list[str],
        least_margin: list[float],
        **about: list[str],
    ) -> io.NodeOutput:
        """Build."""
        requests = [_only(edit, one) for one in text]
        if any(request.new_text for request in requests):
            raise ValueError(
                f"the edit '{requests[0].kind}' changes the words; a triplet keeps them. Use "
                "Quadruplet Builder."
            )
        sides = (source_tokens, target_tokens, requests)
        return _build(model[0], *sides, folder[0], about, least=least_margin[0])


class QuadrupletBuilder(_DataNode):
    """Quadruplet Builder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Speech and the same speech with sounds or other words in."""
        return schema(
            node_id="StepEdit_QuadrupletBuilder",
            display_name="Quadruplet Builder",
            description="Keeps words, speech, words with tags and speech with these sounds as "
            "training data. The command `stepedit train` reads it. Nothing is left out by margin.",
            search_aliases=["quadruplet", "nonverbal", "laughter", *ALIASES],
            is_output_node=True,
            is_input_list=True,
            inputs=[
                *_sides(
                    "The words of the source, without tags; the tags are in the edit. One text, or "
                    "a list of the same length."
                ),
                _folder("stepedit/data/quadruplets"),
                *_about(),
            ],
            outputs=_outputs(MARGINS),
        )

    @classmethod
    def execute(
        cls,
        model: list[host.LoadedModel],
        source_tokens: list[DualCodes],
        target_tokens: list[DualCodes],
        edit: list[Edit],
        text: list[str],
        folder: list[str],
        **about: list[str],
    ) -> io.NodeOutput:
        """Build."""
        requests = [_only(edit, one) for one in text]
        if not all(request.new_text for request in requests):
            raise ValueError(
                f"the edit '{requests[0].kind}' keeps the words; a quadruplet has new ones. Use "
                "Triplet Builder."
            )
        sides = (source_tokens, target_tokens, requests)
        return _build(model[0], *sides, folder[0], about)


class PreferencePairs(_DataNode):
    """Preference Pairs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A prompt and its answers in; pairs of a good and a bad one out."""
        return schema(
            node_id="StepEdit_PreferencePairs",
            display_name="Preference Pairs",
            description="Scores several answers to one edit and keeps pairs of a strong and a weak "
            "one: what the reward model of `stepedit train reward` learns from.",
            search_aliases=["preference", "reward model", "DPO", "RLHF", *ALIASES],
            is_output_node=True,
            is_input_list=True,
            inputs=[
                inputs.model(),
                StepEditTokens.Input("source_tokens", tooltip="The speech before the edit."),
                _edit(),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="The words that are spoken in the source.",
                ),
                _folder("stepedit/data/pairs"),
                io.Int.Input(
                    "answers",
                    default=20,
                    min=2,
                    max=64,
                    tooltip="How many answers the model draws at once, 2 to 64; the report has 20. "
                    "Memory grows with it.",
                ),
                io.Float.Input(
                    "margin",
                    default=8.0,
                    min=0.5,
                    max=9.0,
                    step=0.5,
                    tooltip="Least difference of the two scores in points of 10; the report has 8.",
                ),
                advanced(
                    io.Int.Input,
                    "most",
                    default=4,
                    min=1,
                    max=100,
                    tooltip="Most pairs kept, the widest first.",
                ),
                inputs.seed(),
                advanced(
                    io.Float.Input,
                    "temperature",
                    default=1.0,
                    min=0.1,
                    max=2.0,
                    step=0.05,
                    tooltip="How freely answers are drawn, no unit: 1 is the model's own measure, "
                    "less is tamer.",
                ),
                *_about(),
                StepEditTokens.Input(
                    "given",
                    optional=True,
                    tooltip="Answers made elsewhere, as a list; then none are drawn.",
                ),
            ],
            outputs=_outputs("Margin score of each answer, 1 to 10, no unit."),
        )

    @classmethod
    def execute(
        cls,
        model: list[host.LoadedModel],
        source_tokens: list[DualCodes],
        edit: list[Edit],
        text: list[str],
        folder: list[str],
        answers: list[int],
        margin: list[float],
        most: list[int],
        seed: list[int],
        temperature: list[float],
        given: list[DualCodes] | None = None,
        **about: list[str],
    ) -> io.NodeOutput:
        """Draw or take answers, score them, write the pairs."""
        from ..stepedit_core.data.select import preference_pairs, why_no_pairs

        request, (source, *others) = _only(edit, text[0]), source_tokens
        if others or len(text) > 1:
            raise ValueError(
                f"there are {len(source_tokens)} sources and {len(text)} texts; 1 of each is "
                "wanted, with many answers. Connect one clip."
            )
        model[0].check([request])
        model[0].check_tokens(source, *(given or ()))
        model[0].check_scorer([request])
        count = len(given) if given else answers[0]
        bundle = model[0].ready(source.seconds * count)
        facts = {name: about[name][0] for name in ABOUT}
        scored = _scored(bundle, request, source, given, facts, (count, temperature[0], seed[0]))
        pairs = preference_pairs(scored, margin=margin[0], most=most[0])
        with _writer(folder[0], bundle) as writer:
            new = writer.add_all(pairs)
        of = f"of {len(pairs)} pairs from {len(scored)} answers"
        none = "" if pairs else why_no_pairs([scored], margin[0])
        return _told(folder[0], new, of, [float(s.margin or 0) for s in scored], none=none)


def _scored(
    bundle: Bundle,
    request: EditRequest,
    source: DualCodes,
    given: Sequence[DualCodes] | None,
    about: dict[str, str],
    draws: tuple[int, float, int],
) -> list[Example]:
    """Samples of one prompt: given answers, or what `draws` (count, temperature, seed) make."""
    from ..stepedit_core.data.build import scored_example
    from ..stepedit_core.data.sample import answers_of

    hooks = host.GraphHooks()
    if not given:
        prompt = scored_example(bundle, request, source, source, kind="sample", **about)
        return list(answers_of(bundle, prompt, *draws, hooks=hooks))
    made = []
    for number, answer in enumerate(given):
        hooks.check()
        made.append(scored_example(bundle, request, source, answer, kind="sample", **about))
        hooks.progress("score", number + 1, len(given))
    return made


NODES: tuple[type[io.ComfyNode], ...] = (TripletBuilder, QuadrupletBuilder, PreferencePairs)
