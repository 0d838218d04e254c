"""Zarr folders whose files are the old version or the new one, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from spectune.atomic import write_bytes

__all__ = [
    "ROOT",
    "DurableStore",
    "appearing",
    "commit_length",
    "sync_folder",
    "uninterrupted",
]

ROOT = "zarr.json"
"""The root metadata, with the consolidated metadata of all arrays: what xarray opens."""


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, so that renamed files survive a power cut."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Yield a folder to fill, which takes its name when the body ends without an error.

    Raises:
        OSError: the folder cannot be written, or something has the name already.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield aside
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync_folder(path.parent)


def commit_length(folder: Path, axes: Mapping[str, int], n: int) -> None:
    """Give arrays the length `n` for everyone who opens the folder: one atomic replacement.

    Only the consolidated metadata changes, which xarray takes the shapes from; the metadata of the
    arrays themselves stays.

    Args:
        folder: root of the Zarr hierarchy.
        axes: the axis that gets the length, by the name of the array.
        n: length.

    Raises:
        OSError: the disk is full or not writable; the old length stays.
    """
    root = json.loads((folder / ROOT).read_bytes())
    for name, axis in axes.items():
        root["consolidated_metadata"]["metadata"][name]["shape"][axis] = n
    write_bytes(folder / ROOT, json.dumps(root, indent=2).encode())
    sync_folder(folder)


def uninterrupted(work: Callable[[], None]) -> None:
    """Do a piece of work to its end; Ctrl-C is raised then.

    An interrupt reaches the main thread only, and leaving the `with` waits for the other one, so
    that nothing writes behind our back.
    """
    with ThreadPoolExecutor(max_workers=1) as writer:
        writer.submit(work).result()


class DurableStore(LocalStore):
    """A zarr folder whose files are flushed before they replace the old ones.

    zarr renames into place as well but does not flush, so that a power cut can leave an empty file
    under the name of a chunk that was complete before.
    """

    async def set(self, key: str, value: Buffer) -> None:
        """Write one key."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write one key."""
        write_bytes(self.root / key, value.to_bytes())
