"""What every worker of a run loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..printable import shown

if TYPE_CHECKING:
    from ..registry.handle import Bundle


@dataclass(frozen=True, kw_only=True)
class WorkerSetting:
    """Bundle and threads of a worker."""

    bundle: str = "nano"
    """A name, looked up on the worker's own machine, or a folder there."""
    folders: tuple[str, ...] = field(default_factory=tuple)
    """Where the registry also looks for the bundle."""
    device: str | None = "cpu"
    """None: the worker's accelerator, else its CPU."""
    precision: str = "auto"
    adapter: str | None = None
    """LoRA file on the worker's machine."""
    sha256: str = ""
    """Of the bundle that the worker must have; empty: any."""
    threads: int = 1
    """Threads of torch in each worker; 0 leaves them as they are."""

    def load(self) -> Bundle:
        """The bundle, with the threads set for this process."""
        import torch

        from ..registry.registry import Registry

        if self.threads:
            torch.set_num_threads(self.threads)
        bundle = Registry(self.folders).load(
            self.bundle, device=self.device, precision=self.precision, adapter=self.adapter
        )
        if self.sha256 not in ("", bundle.sha256):
            raise ValueError(
                f"the bundle '{shown(bundle.name)}' of a worker is not the command's: its sha256 "
                f"is {bundle.sha256[:12]}, not {shown(self.sha256[:12])}. Copy the command's to "
                "all machines."
            )
        return bundle
