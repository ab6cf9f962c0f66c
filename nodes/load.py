"""A bundle of the registry as STEPEDIT_MODEL."""

from __future__ import annotations

from comfy_api.latest import io

from ..stepedit_core.bundle.precision import PRECISIONS
from . import inputs
from .compat import StepEditModel, advanced, schema
from .host import folders, models


class LoadModel(io.ComfyNode):
    """Load Model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Combos of the bundles found, the device and the precision."""
        return schema(
            node_id="StepEdit_LoadModel",
            display_name="Load StepEdit Model",
            description="Loads a speech editing model. 'nano' ships with the pack and runs on a "
            "CPU; more bundles go into models/step_audio_editx/. Nothing is downloaded.",
            search_aliases=["Step-Audio-EditX", "speech", "voice", "load model"],
            inputs=[
                io.Combo.Input(
                    "bundle",
                    options=folders.bundle_names(),
                    default="nano",
                    tooltip="Which model. A bundle is one folder with bundle.json in "
                    "models/step_audio_editx/ or $STEPEDIT_HOME; nano is built in. nano makes "
                    "emotion and style, and signal processing makes speed, denoise, remove "
                    "silence and whisper; the release makes all edits.",
                ),
                advanced(
                    io.Combo.Input,
                    "device",
                    options=list(models.DEVICES),
                    default="auto",
                    tooltip="auto: the device ComfyUI uses. cpu: keep the model off the GPU.",
                ),
                advanced(
                    io.Combo.Input,
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip="Number format of the language model: 32, 16, 8 or 4 bits a weight. "
                    "auto: as the bundle was made, else bf16 for a large model and fp32 for a "
                    "small one. bf16, int8 and int4 run the flow decoder in 16 bits too, and so "
                    "does auto on a CPU that multiplies them, where it is two to three times as "
                    "fast; the other parts are always fp32.",
                ),
                advanced(
                    io.Boolean.Input,
                    "keep_converted",
                    optional=True,
                    default=False,
                    tooltip="For the released folders as downloaded: write a bundle in this "
                    "precision into models/step_audio_editx/ once, and load that from then on. "
                    "It takes 9 GB of disk in 16 bits, 6 in int8, 4 in int4.",
                ),
                advanced(
                    io.Combo.Input,
                    "adapter",
                    options=folders.adapter_names(),
                    optional=True,
                    default=folders.NO_ADAPTER,
                    tooltip="A LoRA file of `stepedit train`, added to the language model. Files "
                    "lie in models/step_audio_editx/adapters/.",
                ),
            ],
            outputs=[
                StepEditModel.Output(
                    display_name="model",
                    tooltip="The model. Its weights are read at first use and freed when no node "
                    "keeps it any more.",
                )
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        bundle: str = "nano",
        device: str = "auto",
        precision: str = "auto",
        adapter: str = folders.NO_ADAPTER,
    ) -> bool | str:
        """The bundle is here and understood, the adapter too; the rest is on its list.

        Core 0.3.75 does not check the values of combos, and a graph may come from anybody.
        """
        try:
            folders.find_bundle(bundle)
            folders.find_adapter(adapter)
        except ValueError as error:
            return str(error)
        said = (
            inputs.one_of("device", device, models.DEVICES),
            inputs.one_of("precision", precision, PRECISIONS),
        )
        return next((one for one in said if one is not True), True)

    @classmethod
    def fingerprint_inputs(
        cls,
        bundle: str,
        device: str,
        precision: str,
        keep_converted: bool = False,
        adapter: str = folders.NO_ADAPTER,
    ) -> str:
        """Digest of bundle and adapter, so that a replaced one is loaded anew."""
        return models.check_adapter(bundle, adapter)

    @classmethod
    def execute(
        cls,
        bundle: str,
        device: str,
        precision: str,
        keep_converted: bool = False,
        adapter: str = folders.NO_ADAPTER,
    ) -> io.NodeOutput:
        """Load, or take what another node has loaded; convert a release first where asked."""
        if keep_converted:
            bundle = models.keep_converted(bundle, precision)
        return io.NodeOutput(models.load_model(bundle, device, precision, adapter))
