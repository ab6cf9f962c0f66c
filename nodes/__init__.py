"""The nodes of StepEdit. Each translates between the graph and stepedit_core; none computes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    batch,
    edit,
    instructions,
    listen,
    load,
    long,
    picture_nodes,
    ranges,
    remove_words,
    replace_words,
    script,
    stages,
    tokens,
    training_data,
    words,
)
from .host import folders, offers


class StepEdit(ComfyExtension):
    """The list of nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes in the order of the flow."""
        return [
            load.LoadModel,
            stages.TokenizeSpeech,
            *instructions.NODES,
            stages.GenerateTokens,
            stages.FlowDecode,
            stages.Vocode,
            stages.MarginScore,
            edit.IterativeEdit,
            edit.CloneVoice,
            *ranges.NODES,
            *long.NODES,
            *words.NODES,
            *remove_words.NODES,
            *replace_words.NODES,
            *script.NODES,
            *batch.NODES,
            listen.PlayAndSave,
            tokens.SaveTokens,
            tokens.LoadTokens,
            picture_nodes.MelPicture,
            *training_data.NODES,
        ]


async def comfy_entrypoint() -> StepEdit:
    """What ComfyUI calls once when it starts.

    The folder is registered here, because 0.3.75 declares ComfyExtension.on_load but never calls
    it (comfy_api/latest/__init__.py, nodes.py: load_custom_node).
    """
    folders.register_folder()
    folders.offer_sample()
    offers.answer_offers()
    return StepEdit()
