"""Training data from a graph: triplets, quadruplets and preference pairs into a data folder.

The folders are those of the command `stepedit data` (stepedit_core/data/records.py). Each of these
nodes takes whole lists, so that all items of a run make one shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import inputs
from .compat import TRAINING, StepEditTokens, advanced, schema
from .host import models, progress
from .training_inputs import (
    ABOUT,
    ALIASES,
    MARGINS,
    DataNode,
    about_inputs,
    check_about,
    check_margin,
    edit_input,
    folder_input,
    items_of,
    only_edit,
    outputs,
    summary,
    writer_for,
)

if TYPE_CHECKING:
    from ..stepedit_core.data.records import Example
    from ..stepedit_core.registry.handle import Bundle
    from ..stepedit_core.types import DualCodes, EditRequest
    from .instructions import Edit


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
        edit_input(),
        io.String.Input("text", multiline=True, default="", tooltip=text),
    ]


def _check(
    model: models.LoadedModel,
    items: Sequence[tuple[DualCodes, EditRequest]],
    about: dict[str, list[str]],
) -> None:
    """Raise ValueError for words that the source cannot say, or facts that no file keeps."""
    from ..stepedit_core.pipelines.transcript import check_pace
    from ..stepedit_core.text.edits import check_text

    check_about(about)
    for _, request in items:
        check_text("text", request.text)
    model.check([request for _, request in items])
    for source, request in items:
        check_pace(request.text, source.seconds)


def _build(
    model: models.LoadedModel,
    lists: tuple[Sequence[DualCodes], Sequence[DualCodes], Sequence[EditRequest]],
    folder: str,
    about: dict[str, list[str]],
    *,
    least: float = 0.0,
) -> io.NodeOutput:
    """Score both sides of every item, keep the large margins, write one shard.

    `lists` are sources, targets and requests.
    """
    from ..stepedit_core.data.build import kind_of, scored
    from ..stepedit_core.data.records import Example

    sources, targets, requests = lists
    items = items_of(source_tokens=sources, target_tokens=targets, text=requests)
    _check(model, [(source, request) for source, _, request in items], about)
    model.check_tokens(*sources, *targets)
    bundle = model.ready(max(a.seconds + b.seconds for a, b, _ in items))
    facts = {name: about[name][0] for name in ABOUT}
    hooks = progress.GraphHooks()
    made: list[Example] = []
    for number, (source, target, request) in enumerate(items, start=1):
        hooks.check()
        sides = {"source": source, "target": target, "margin": None}
        one = Example(kind=kind_of(request), request=request, **sides, **facts)
        made.append(scored(bundle, one))
        hooks.progress("score", number, len(items))
    kept = [e for e in made if e.margin is None or e.margin >= least]
    with writer_for(folder, bundle) as writer:
        new = writer.add_all(kept)
    of = f"of {len(made)}, {len(made) - len(kept)} below the least margin"
    return summary(folder, new, of, [e.margin or 0.0 for e in made])


class TripletBuilder(DataNode):
    """Triplet Builder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Neutral and acted speech with the same words in."""
        return schema(
            category=TRAINING,
            node_id="StepEdit_TripletBuilder",
            display_name="Triplet Builder",
            description="Keeps speech and the same words with another emotion, style or speed as "
            "training data, with the margin score. The command `stepedit train` reads it.",
            search_aliases=["triplet", *ALIASES],
            is_output_node=True,
            is_input_list=True,
            inputs=[
                *_sides("The words of both clips; one text, or a list of the same length."),
                folder_input("stepedit/data/triplets"),
                io.Float.Input(
                    "least_margin",
                    default=6.0,
                    min=1.0,
                    max=10.0,
                    step=0.5,
                    tooltip="Keep items that score this or more, 1 to 10: 6 is the report's, 1 "
                    "keeps all. Edits that the scorer does not know are kept.",
                ),
                *about_inputs(),
            ],
            outputs=outputs(MARGINS),
        )

    @classmethod
    def execute(
        cls,
        model: list[models.LoadedModel],
        source_tokens: list[DualCodes],
        target_tokens: list[DualCodes],
        edit: list[Edit],
        text: list[str],
        folder: list[str],
        least_margin: list[float],
        **about: list[str],
    ) -> io.NodeOutput:
        """Build."""
        check_margin("least_margin", least_margin[0], 1.0, 10.0)
        requests = [only_edit(edit, one) for one in text]
        if any(request.new_text for request in requests):
            raise ValueError(
                f"the edit '{requests[0].kind}' changes the words; a triplet keeps them. Use "
                "Quadruplet Builder."
            )
        sides = (source_tokens, target_tokens, requests)
        return _build(model[0], sides, folder[0], about, least=least_margin[0])


class QuadrupletBuilder(DataNode):
    """Quadruplet Builder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Speech and the same speech with sounds or other words in."""
        return schema(
            category=TRAINING,
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
                folder_input("stepedit/data/quadruplets"),
                *about_inputs(),
            ],
            outputs=outputs(MARGINS),
        )

    @classmethod
    def execute(
        cls,
        model: list[models.LoadedModel],
        source_tokens: list[DualCodes],
        target_tokens: list[DualCodes],
        edit: list[Edit],
        text: list[str],
        folder: list[str],
        **about: list[str],
    ) -> io.NodeOutput:
        """Build."""
        requests = [only_edit(edit, one) for one in text]
        if not all(request.new_text for request in requests):
            raise ValueError(
                f"the edit '{requests[0].kind}' keeps the words; a quadruplet has new ones. Use "
                "Triplet Builder."
            )
        sides = (source_tokens, target_tokens, requests)
        return _build(model[0], sides, folder[0], about)


class PreferencePairs(DataNode):
    """Preference Pairs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A prompt and its answers in; pairs of a good and a bad one out."""
        return schema(
            category=TRAINING,
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
                edit_input(),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="The words that are spoken in the source.",
                ),
                folder_input("stepedit/data/pairs"),
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
                *about_inputs(),
                StepEditTokens.Input(
                    "given",
                    optional=True,
                    tooltip="Answers made elsewhere, as a list; then none are drawn.",
                ),
            ],
            outputs=outputs("Margin score of each answer, 1 to 10, no unit."),
        )

    @classmethod
    def execute(
        cls,
        model: list[models.LoadedModel],
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

        request, (source, *others) = only_edit(edit, text[0]), source_tokens
        if others or len(text) > 1:
            raise ValueError(
                f"there are {len(source_tokens)} sources and {len(text)} texts; 1 of each is "
                "expected, with many answers. Connect one clip."
            )
        check_margin("margin", margin[0], 0.5, 9.0)
        _check(model[0], [(source, request)], about)
        model[0].check_tokens(source, *(given or ()))
        model[0].check_scorer([request])
        count = len(given) if given else answers[0]
        bundle = model[0].ready(source.seconds * count)
        facts = {name: about[name][0] for name in ABOUT}
        scored = _scored(bundle, request, source, given, facts, (count, temperature[0], seed[0]))
        pairs = preference_pairs(scored, margin=margin[0], most=most[0])
        with writer_for(folder[0], bundle) as writer:
            new = writer.add_all(pairs)
        of = f"of {len(pairs)} pairs from {len(scored)} answers"
        none = "" if pairs else why_no_pairs([scored], margin[0])
        return summary(folder[0], new, of, [float(s.margin or 0) for s in scored], none=none)


def _scored(
    bundle: Bundle,
    request: EditRequest,
    source: DualCodes,
    given: Sequence[DualCodes] | None,
    about: dict[str, str],
    draws: tuple[int, float, int],
) -> list[Example]:
    """Samples of one prompt: given answers, or what `draws` (count, temperature, seed) make."""
    from ..stepedit_core.data.build import scored
    from ..stepedit_core.data.records import Example
    from ..stepedit_core.data.sample import answers_of

    hooks = progress.GraphHooks()
    sides = {"source": source, "target": source, "margin": None}
    prompt = Example(kind="sample", request=request, **sides, **about)
    if not given:
        return list(answers_of(bundle, prompt, *draws, hooks=hooks))
    made = []
    for number, answer in enumerate(given):
        hooks.check()
        made.append(scored(bundle, replace(prompt, target=answer)))
        hooks.progress("score", number + 1, len(given))
    return made


NODES: tuple[type[io.ComfyNode], ...] = (TripletBuilder, QuadrupletBuilder, PreferencePairs)
