"""Where transfers keep what is large, and what is committed."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RUNS = ROOT / "runs" / "transfers"
RESULTS = ROOT / "results" / "advice"
