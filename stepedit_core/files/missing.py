"""What to run for a Python package that is not here, in the Python that misses it.

ComfyUI's portable edition brings a Python of its own; a plain `pip` would fill another one.
"""

from __future__ import annotations

import sys


def pip_line(*packages: str) -> str:
    """The command that installs packages where this program runs, to be pasted into a terminal.

    Requirements such as "onnx>=1.16" are quoted; a path only where it has a space, since
    PowerShell takes a quoted first word for a text.
    """
    python = sys.executable or "python"
    if " " in python:
        python = f'"{python}"'
    return " ".join([f"{python} -m pip install", *(f'"{package}"' for package in packages)])
