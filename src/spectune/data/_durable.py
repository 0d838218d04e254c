"""Files that are either the old version or the new one, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

__all__ = ["DurableStore", "remove_leftovers", "sync_folder", "write_atomically"]

_SUFFIX = ".partial"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file aside, flush it to the disk and rename it into place.

    Raises:
        OSError: the disk is full or not writable; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_SUFFIX}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, so that renamed files survive a power cut."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed writer left aside."""
    for file in folder.rglob(f".*{_SUFFIX}"):
        file.unlink(missing_ok=True)


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
        write_atomically(self.root / key, value.to_bytes())
