"""Where the tensors of a checkpoint are: the table of parts that several ranks wrote, in ``shards.json``.

Whoever has safetensors and JSON can read such a folder; ``read_whole`` does.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

LAYOUT = "shards.json"
Layout = dict[str, dict[str, Any]]
"""By name: ``dtype``, ``size``, and ``chunks``, each with ``file, offsets, sizes``."""


def read_layout(path: Path) -> Layout:
    """Return where every tensor is; files of a process alone hold each as one part."""
    if (path / LAYOUT).is_file():
        return json.loads((path / LAYOUT).read_text())
    layout = {}
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  (a handle, not a dictionary)
                size = list(opened.get_slice(name).get_shape())
                dtype = str(opened.get_tensor(name).dtype).removeprefix("torch.")
                chunk = {"file": file.name, "offsets": [0] * len(size), "sizes": size}
                layout[name] = {"dtype": dtype, "size": size, "chunks": [chunk]}
    return layout


def read_whole(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a checkpoint, its parts put together again, on the CPU."""
    layout = read_layout(path)
    tensors = {name: torch.empty(found["size"], dtype=getattr(torch, found["dtype"])) for name, found in layout.items()}
    for file, chunks in _by_file(layout).items():
        with safe_open(path / file, framework="pt") as opened:
            for name, chunk in chunks:
                tensors[name][place(chunk["offsets"], chunk["sizes"])] = opened.get_tensor(name)
    return tensors


def _by_file(layout: Layout) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    files: dict[str, list] = {}
    for name, found in layout.items():
        for chunk in found["chunks"]:
            files.setdefault(chunk["file"], []).append((name, chunk))
    return files


def place(offsets: Any, sizes: Any) -> tuple[slice, ...]:
    """Return the slices of a part."""
    return tuple(slice(first, first + size) for first, size in zip(offsets, sizes, strict=True))
