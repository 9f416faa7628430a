"""Reads a run with matrix_data and prints what it finds: data.py REPOSITORY RUN."""

import json
import sys

sys.path.insert(0, sys.argv[1] + "/sandboxes")
from matrix_data import Run  # noqa: E402

run = Run(sys.argv[2])
frame = run.dataframe()
some = run.dataframe(["id", "row.correct"], stop_reason="agreed")
records = list(run)
print(
    json.dumps(
        {
            "count": [len(run), len(records), len(frame)],
            "found": all(run[r["id"], r["trial"]] == r for r in records[::7]),
            "columns": [c for c in frame.columns if c in ("id", "score", "hops", "row.correct")],
            "mean": float(frame["score"].mean()),
            "agreed": len(some),
            "some": list(some.columns),
            "conversations": sum(1 for _ in run.messages("student")),
        }
    )
)
