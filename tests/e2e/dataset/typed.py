"""Writes Parquet and Arrow files of every type, encoding and compression, and their rows as JSON lines.

Usage: typed.py FOLDER. The rows are in FOLDER/rows.jsonl. Numbers are drawn with a fixed seed.
"""

import base64
import datetime as dt
import decimal
import json
import random
import sys

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

datasets.disable_progress_bars()
folder = sys.argv[1]
rows = 600
draw = random.Random(7)
decimal.getcontext().prec = 80
PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def some(make):
    """A column with a null in every fifth row or so."""
    return [None if draw.random() < 0.2 else make(i) for i in range(rows)]


def whole(bits, low=None):
    first = -(2 ** (bits - 1)) if low is None else low
    return some(lambda _: draw.randint(first, first + 2**bits - 1))


def number(digits, scale):
    return some(lambda _: decimal.Decimal(draw.randint(-(10**digits), 10**digits)).scaleb(-scale))


def words(i):
    return "ж😀\u2028\0" * draw.randint(0, 5) + str(i)


def turn(_):
    calls = None if draw.random() < 0.3 else [{"f": j} for j in range(draw.randint(0, 3))]
    return {"role": "user", "content": None if draw.random() < 0.1 else words(1), "calls": calls}


def entries(_):
    keys = ["10", "b", "2", "__proto__"][: draw.randint(0, 4)]
    return [(key, decimal.Decimal(j).scaleb(-1)) for j, key in enumerate(keys)]


def inner(_):
    return {
        "a": draw.randint(-(2**63), 2**63 - 1),
        "d": decimal.Decimal(draw.randint(-99999, 99999)).scaleb(-2),
        "t": draw.randint(-(10**15), 10**15),
        "n": None if draw.random() < 0.3 else {"x": words(2)},
    }


inner_type = pa.struct(
    [
        ("a", pa.int64()),
        ("d", pa.decimal128(10, 2)),
        ("t", pa.timestamp("us")),
        ("n", pa.struct([("x", pa.string())])),
    ]
)
call_type = pa.list_(pa.struct([("f", pa.int32())]))
turn_type = pa.struct([("role", pa.string()), ("content", pa.string()), ("calls", call_type)])
lists = some(lambda _: [None if draw.random() < 0.2 else draw.randint(-(2**63), 2**63 - 1) for _ in range(draw.randint(0, 4))])
columns = {
    "i8": pa.array(whole(8), pa.int8()),
    "u8": pa.array(whole(8, 0), pa.uint8()),
    "i16": pa.array(whole(16), pa.int16()),
    "u16": pa.array(whole(16, 0), pa.uint16()),
    "i32": pa.array(whole(32), pa.int32()),
    "u32": pa.array(whole(32, 0), pa.uint32()),
    "i64": pa.array(whole(64), pa.int64()),
    "u64": pa.array(whole(64, 0), pa.uint64()),
    "id": pa.array(range(2**64 - rows, 2**64), pa.uint64()),
    "f16": pa.array(some(lambda _: draw.uniform(-100, 100)), pa.float16()),
    "f32": pa.array(some(lambda _: draw.uniform(-1e10, 1e10)), pa.float32()),
    "f64": pa.array(some(lambda _: draw.uniform(-1e300, 1e300)), pa.float64()),
    "b": pa.array(some(lambda _: draw.random() < 0.5)),
    "s": pa.array(some(words)),
    "ls": pa.array(some(words), pa.large_string()),
    "dict": pa.array(some(lambda _: draw.choice(["a", "b", "ж"]))).dictionary_encode(),
    "bin": pa.array(some(lambda _: bytes([255, draw.randint(0, 255)])), pa.binary()),
    "fsb": pa.array(some(lambda _: bytes([255, draw.randint(0, 255), 1])), pa.binary(3)),
    "d32": pa.array(number(7, 3), pa.decimal128(8, 3)),
    "d64": pa.array(number(17, 18), pa.decimal128(18, 18)),
    "d128": pa.array(number(37, 20), pa.decimal128(38, 20)),
    "d256": pa.array(number(75, 5), pa.decimal256(76, 5)),
    "d0": pa.array(number(20, 0), pa.decimal128(21, 0)),
    "date": pa.array(some(lambda _: dt.date.min + dt.timedelta(draw.randint(0, 3652058)))),
    "date64": pa.array(some(lambda _: dt.date(1900, 1, 1) + dt.timedelta(draw.randint(0, 100000))), pa.date64()),
    "t_ms": pa.array(some(lambda _: draw.randint(0, 86399999)), pa.time32("ms")),
    "t_us": pa.array(some(lambda _: draw.randint(0, 86399999999)), pa.time64("us")),
    "t_ns": pa.array(some(lambda _: draw.randint(0, 86399999999999)), pa.time64("ns")),
    "ts_ms": pa.array(some(lambda _: draw.randint(-(10**13), 10**13)), pa.timestamp("ms")),
    "ts_us": pa.array(some(lambda _: draw.randint(-(10**16), 10**16)), pa.timestamp("us")),
    "ts_ns": pa.array(whole(64, -(2**63) + 1), pa.timestamp("ns")),
    "ts_utc": pa.array(some(lambda _: draw.randint(-(10**16), 10**16)), pa.timestamp("us", tz="UTC")),
    "ts_zone": pa.array(some(lambda _: draw.randint(0, 10**16)), pa.timestamp("us", tz="Europe/Zurich")),
    "dur": pa.array(whole(62), pa.duration("us")),
    "nul": pa.nulls(rows),
    "list": pa.array(lists, pa.list_(pa.int64())),
    "deep": pa.array(some(lambda _: [None, [], [1, None, 3]][: draw.randint(0, 3)]), pa.list_(pa.list_(pa.int32()))),
    "pair": pa.array([[i, i + 1] for i in range(rows)], pa.list_(pa.int32(), 2)),
    "struct": pa.array(some(inner), inner_type),
    "turns": pa.array(some(lambda i: [turn(i) for _ in range(draw.randint(0, 4))]), pa.list_(turn_type)),
    "map": pa.array(some(entries), pa.map_(pa.string(), pa.decimal128(5, 1))),
    "numbered": pa.array(some(lambda _: [(j, "v") for j in range(draw.randint(0, 4))]), pa.map_(pa.int64(), pa.string())),
    "maps": pa.array(some(lambda _: [[("a", 1)], [], None][: draw.randint(0, 3)]), pa.list_(pa.map_(pa.string(), pa.int32()))),
    "a.b": pa.array(some(lambda i: i)),
}
table = pa.table(columns)
# Types that only Arrow has.
arrow = table.add_column(0, "views", pa.array(columns["s"].to_pylist(), pa.string_view()))
arrow = arrow.add_column(0, "large", pa.array(lists, pa.large_list(pa.int64())))


def time_text(count, unit):
    per = PER_SECOND[unit]
    seconds, fraction = divmod(count, per)
    clock = "%02d:%02d:%02d" % (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return f"{clock}.{fraction:0{len(str(per)) - 1}}"


def timestamp_text(count, kind):
    days, rest = divmod(count, 86400 * PER_SECOND[kind.unit])
    date = dt.date(1970, 1, 1) + dt.timedelta(days)
    return f"{date.isoformat()}T{time_text(rest, kind.unit)}{'Z' if kind.tz else ''}"


def plain(scalar):
    """The value of a scalar of pyarrow as the JSON that a row must have."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_timestamp(kind):
        return timestamp_text(scalar.value, kind)
    if pa.types.is_time(kind):
        return time_text(scalar.value, kind.unit)
    if pa.types.is_duration(kind):
        return scalar.value
    if pa.types.is_decimal(kind):
        return format(scalar.as_py(), "f")
    if pa.types.is_date(kind):
        return scalar.as_py().isoformat()
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return base64.b64encode(scalar.as_py()).decode()
    if pa.types.is_map(kind):
        return {str(pair["key"].as_py()): plain(pair["value"]) for pair in scalar.values}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [plain(value) for value in scalar.values]
    if pa.types.is_struct(kind):
        return {name: plain(value) for name, value in scalar.items()}
    return scalar.as_py()


if __name__ == "__main__":
    with open(f"{folder}/rows.jsonl", "w") as file:
        for i in range(rows):
            file.write(json.dumps({name: plain(arrow[name][i]) for name in arrow.column_names}) + "\n")
    deltas = {"i64": "DELTA_BINARY_PACKED", "u64": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"}
    variants = {
        "plain": {"use_dictionary": False, "compression": "none"},
        "dictionary": {"compression": "snappy"},
        "v2": {"data_page_version": "2.0", "compression": "zstd", "row_group_size": 250},
        "index": {"write_page_index": True, "data_page_size": 500, "compression": "gzip"},
        "pages": {"data_page_size": 500, "write_batch_size": 7, "compression": "lz4", "row_group_size": 400},
        "brotli": {"data_page_size": 500, "compression": "brotli", "data_page_version": "2.0"},
        "int96": {"use_deprecated_int96_timestamps": True},
        "integers": {"store_decimal_as_integer": True},
        "deltas": {
            "use_dictionary": False,
            "column_encoding": {**deltas, "ls": "DELTA_LENGTH_BYTE_ARRAY", "f64": "BYTE_STREAM_SPLIT"},
        },
    }
    for name, options in variants.items():
        # The old type has nanoseconds for every time, and the rows would have other texts.
        written = table.select(["i64", "s", "ts_ns"]) if name == "int96" else table
        pq.write_table(written, f"{folder}/{name}.parquet", **options)
    for name, writer, compression in [
        ("stream.arrow", pa.ipc.new_stream, None),
        ("file.arrow", pa.ipc.new_file, None),
        ("lz4.feather", pa.ipc.new_file, "lz4"),
        ("zstd.arrow", pa.ipc.new_stream, "zstd"),
    ]:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with writer(f"{folder}/{name}", arrow.schema, options=options) as out:
            out.write_table(arrow, max_chunksize=250)
    saved = table.select(["i64", "s", "ts_us", "d128", "turns", "struct"])
    datasets.Dataset(saved).save_to_disk(f"{folder}/one", num_shards=3)
    datasets.DatasetDict({"train": datasets.Dataset(saved)}).save_to_disk(f"{folder}/split")
    twice = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"])
    pq.write_table(twice, f"{folder}/twice.parquet")
