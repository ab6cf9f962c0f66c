"""StepEdit core: speech editing with dual-codebook language models, in plain torch."""

__version__ = "0.1.0"
