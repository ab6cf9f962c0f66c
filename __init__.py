"""StepEdit for ComfyUI: speech editing by rounds, every stage a node."""

from importlib.util import find_spec

if find_spec("comfy_api"):  # absent in unit tests and training runs
    from .nodes import comfy_entrypoint

    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

WEB_DIRECTORY = "./web"
