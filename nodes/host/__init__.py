"""The only files with ComfyUI inside: folders, models in its memory, progress, AUDIO."""
