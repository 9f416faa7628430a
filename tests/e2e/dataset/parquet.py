"""Writes Parquet files of every compression, with the kinds of columns that datasets have. Usage: parquet.py FOLDER"""

import datetime
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
rows = 2500
table = pa.table(
    {
        "k": pa.array([f"row {i}" for i in range(rows)]),
        "n": pa.array(list(range(rows)), pa.int64()),
        "big": pa.array([2**60 + i for i in range(rows)], pa.int64()),
        "x": pa.array([i / 8 if i % 5 else None for i in range(rows)], pa.float64()),
        "nan": pa.array([float("nan")] * rows),
        "day": pa.array([datetime.date(2026, 1, 2)] * rows),
        "at": pa.array([datetime.datetime(2026, 1, 2, 3, 4, 5)] * rows, pa.timestamp("us")),
        "price": pa.array([decimal.Decimal("1.25")] * rows, pa.decimal128(10, 2)),
        "options": pa.array([[f"{i}", None, "ж"] for i in range(rows)]),
        "turns": pa.array([[{"role": "user", "content": "hi"}]] * rows),
        "image": pa.array([{"bytes": b"\x89PNG\xff", "path": "a.png"}] * rows),
        "label": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
    }
)
for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
    pq.write_table(table, f"{folder}/{codec}.parquet", compression=codec, row_group_size=1000)
