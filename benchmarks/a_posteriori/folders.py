"""Where re-training through the solver keeps what is large, and what is committed."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RUNS = ROOT / "runs" / "a_posteriori"
RESULTS = ROOT / "results" / "online"
