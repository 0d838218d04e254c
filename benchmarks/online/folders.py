"""Where the online benchmark keeps what is large, and what is committed."""

from benchmarks.transfers.folders import ROOT

RUNS = ROOT / "runs" / "online"
RESULTS = ROOT / "results" / "online"
