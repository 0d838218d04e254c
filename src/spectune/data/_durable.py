"""Files that are either the old version or the new one, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from spectune.atomic import write_bytes

__all__ = ["DurableStore", "sync_folder"]


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, so that renamed files survive a power cut."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
