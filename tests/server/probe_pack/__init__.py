"""A second pack beside StepEdit in the test server: makes odd audio, saves samples exactly, looks
at memory. Loaded by ComfyUI, never by the tests themselves."""

import gc
import json
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import folder_paths
import numpy as np
import torch
from aiohttp import web
from comfy import model_management
from comfy_execution.utils import get_executing_context
from server import PromptServer

KINDS = (
    *("plain", "stereo", "batch", "no clips", "one bad of two", "nan", "silence", "empty"),
    *("short", "long", "8k", "96k", "flat", "rate 0", "12 s"),
)


def speech_like(seconds: float, rate: int) -> torch.Tensor:
    """Harmonics of 120 Hz in syllables of 0.2 s: voiced and uneven, as the tokenizers want it."""
    t = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    tone = sum(torch.sin(2 * torch.pi * 120 * k * t) / k for k in range(1, 20))
    return (0.2 * tone * torch.sin(torch.pi * t / 0.2).abs()).float()


class ProbeAudio:
    """AUDIO of one of KINDS."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"kind": (list(KINDS),)}}

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self, kind):
        rate = {"8k": 8000, "96k": 96000, "rate 0": 0}.get(kind, 24000)
        seconds = {"empty": 0.0, "short": 0.1, "long": 40.0, "12 s": 12.0}.get(kind, 1.5)
        wave = speech_like(seconds, rate or 24000)[None, None]
        if kind == "stereo":
            wave = torch.cat([wave, 0.5 * wave], dim=1)
        if kind == "batch":
            wave = torch.cat([wave, -0.5 * wave], dim=0)
        if kind == "no clips":
            wave = wave[:0]
        if kind == "one bad of two":
            wave = torch.cat([wave, wave], dim=0)
        if kind in ("nan", "one bad of two"):
            wave[-1, ..., 100] = torch.nan
        if kind == "silence":
            wave = torch.zeros_like(wave)
        if kind == "flat":
            wave = wave[0]
        return ({"waveform": wave, "sample_rate": rate},)


class ProbeNothing:
    """What newer video loaders give for a film without sound."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "make"
    CATEGORY = "test"

    def make(self):
        return (None,)


class ProbeKeep:
    """Writes what comes in as raw float32 and says its shape and rate."""

    INPUT_IS_LIST = True
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"audio": ("AUDIO",), "name": ("STRING", {})}}

    RETURN_TYPES = ()
    FUNCTION = "keep"
    CATEGORY = "test"

    def keep(self, audio, name):
        items = []
        for number, item in enumerate(audio):
            wave = item["waveform"]
            target = Path(folder_paths.get_output_directory()) / f"{name[0]}_{number}.npy"
            np.save(target, wave.numpy())
            about = {"shape": list(wave.shape), "rate": item["sample_rate"]}
            items.append({**about, "dtype": str(wave.dtype), "file": target.name})
        return {"ui": {"items": items}}


class ProbeShow:
    """Says values of any kind as text: floats, strings, shapes of images, names of other kinds."""

    INPUT_IS_LIST = True
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*", {})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True

    RETURN_TYPES = ()
    FUNCTION = "show"
    CATEGORY = "test"

    def show(self, value):
        return {"ui": {"values": [self.shown(v) for v in value]}}

    def shown(self, value):
        if isinstance(value, torch.Tensor):
            return list(value.shape)
        return value if isinstance(value, str | int | float) else type(value).__name__


@PromptServer.instance.routes.get("/probe")
async def probe(request):
    """Models that are loaded, and objects of StepEdit that are still alive."""
    gc.collect()
    kinds = [
        type(o).__name__
        for o in gc.get_objects()
        if "StepEdit" in str(getattr(type(o), "__module__", ""))  # a class in the making has none
    ]
    return web.json_response(
        {
            "loaded": len(model_management.current_loaded_models),
            "models": kinds.count("LoadedModel"),
            "networks": kinds.count("Step1LM") + kinds.count("Flow") + kinds.count("HiFT"),
        }
    )


class Questions:
    """Counts, by node, how often a run asks whether it was cancelled, and the layers in between.

    With `hold` the run waits at that question of that node until Cancel has been pressed: a press
    is then inside a network however busy the machine is.
    """

    def __init__(self):
        self.modules = 0
        self.answer = model_management.throw_exception_if_processing_interrupted
        model_management.throw_exception_if_processing_interrupted = self.ask
        torch.nn.modules.module.register_module_forward_pre_hook(self.enter)
        self.begin({})

    def begin(self, asked):
        """Count anew; asked is {"node": id, "hold": number of its question} or nothing."""
        self.node, self.hold = asked.get("node"), asked.get("hold", 0)
        self.asked, self.layers, self.most = {}, {}, {}
        self.since, self.held = 0, False

    def current(self):
        context = get_executing_context()
        return context.node_id if context else ""

    def enter(self, *_):
        """A layer begins."""
        if self.modules != len(sys.modules):  # one was imported since
            self.modules = len(sys.modules)
            let_rounds_hold()
        node = self.current()
        self.since += 1
        self.layers[node] = self.layers.get(node, 0) + 1
        self.most[node] = max(self.most.get(node, 0), self.since)

    def ask(self):
        """The core's own question, counted."""
        node = self.current()
        self.since = 0
        self.asked[node] = self.asked.get(node, 0) + 1
        if node == self.node and self.asked[node] == self.hold:
            self.held = True
            while not model_management.processing_interrupted():
                time.sleep(0.01)
        self.answer()


FAULTS = ("pipelines.best", "pipelines.verdict", "output.report")


def let_rounds_hold():
    """Have every round made and hold: the tiny model keeps no word, and its answers never end."""
    for name, module in list(sys.modules.items()):
        if name.endswith(("stepedit_core.pipelines.rounds", "stepedit_core.pipelines.verdict")):
            module.why_last = lambda plan, made: ""
        if name.endswith(tuple(f"stepedit_core.{one}" for one in FAULTS)):
            module.faults_of = lambda made: ()


questions = Questions()


@PromptServer.instance.routes.post("/probe/questions")
async def begin_questions(request):
    """Count anew."""
    questions.begin(await request.json())
    return web.json_response({})


@PromptServer.instance.routes.get("/probe/questions")
async def tell_questions(request):
    """What was counted since, by node, and whether the run is held."""
    told = {"asked": questions.asked, "layers": questions.layers, "most": questions.most}
    return web.json_response({**told, "held": questions.held})


class Ears:
    """Stands where faster-whisper's model would: it hears what words.json of its folder says.

    The file is a list of [word, start, end, probability]; all words of a piece come at once.
    """

    def __init__(self, folder, **_):
        self.words = json.loads((Path(folder) / "words.json").read_text("utf-8"))

    def transcribe(self, wave, **_):
        heard = [
            SimpleNamespace(word=text, start=start, end=end, probability=sure)
            for text, start, end, sure in self.words
        ]
        return (SimpleNamespace(words=heard[at : at + 2]) for at in range(0, len(heard), 2)), None


sys.modules["faster_whisper"] = ModuleType("faster_whisper")
sys.modules["faster_whisper"].WhisperModel = Ears

NODE_CLASS_MAPPINGS = {
    "ProbeAudio": ProbeAudio,
    "ProbeNothing": ProbeNothing,
    "ProbeKeep": ProbeKeep,
    "ProbeShow": ProbeShow,
}
