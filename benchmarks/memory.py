"""Peak memory of this process."""

from pathlib import Path


def peak_mib() -> float:
    """Return the largest resident memory of this process so far in MiB, imports included.

    Not that of `resource.getrusage`, which starts with what the parent process had at the fork.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
