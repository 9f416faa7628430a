"""Writes CSV in many dialects, encodings and compressions, and JSON with numbers of every length.

Usage: text.py write FOLDER. Writes files, and FOLDER/cases.json: the settings of each file and the rows that
pandas reads from it.
Usage: text.py numbers WRITTEN READ. Fails when the numbers of two JSON Lines files are not equal, digit for digit.
"""

import bz2
import csv
import decimal
import gzip
import io
import json
import lzma
import random
import sys

import pandas as pd
import pyarrow as pa

draw = random.Random(11)
COMPRESS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    # Several streams in one file, as parallel compressors write them.
    ".xz": lambda data: lzma.compress(data[:300]) + lzma.compress(data[300:]),
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def field(alphabet, specials):
    parts = [draw.choice([draw.choice(alphabet), draw.choice(specials)]) for _ in range(draw.randint(0, 8))]
    return "".join(parts)


def write(folder):
    cases = []

    def case(name, text, encoding, settings, **options):
        data = text.encode(encoding)
        ending = draw.choice(list(COMPRESS))
        with open(f"{folder}/{name}{ending}", "wb") as file:
            file.write(COMPRESS[ending](data))
        frame = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding=encoding, **options)
        frame.columns = [str(column) for column in frame.columns]
        cases.append({"name": name + ending, "csv": settings, "rows": frame.to_dict("records")})

    alphabets = {
        "utf-8": "aж你😀\u2028 ",
        "utf-8-sig": "aж",
        "utf-16-le": "a😀ж",
        "cp1252": "aü€ß",
        "shift_jis": "aあ漢",
        "gb18030": "a你😀",
        "koi8-r": "aжя",
    }
    labels = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16le", "cp1252": "latin1"}
    for n, (encoding, alphabet) in enumerate(alphabets.items()):
        for delimiter, quote in [(",", '"'), (";", "'"), ("\t", '"'), ("|", '"')]:
            out = io.StringIO()
            specials = [delimiter, quote, "\n", "\r\n", " ", "#", "\\", "NA"]
            ends = ["\n", "\r\n", "\r"] if n % 2 else ["\n"]
            for row in range(40):
                line = io.StringIO()
                writer = csv.writer(line, delimiter=delimiter, quotechar=quote, lineterminator="\r\n")
                cells = ["x", "y z", "ж" if "ж" in alphabet else "w"] if row == 0 else [field(alphabet, specials) for _ in range(3)]
                writer.writerow(cells)
                out.write(line.getvalue()[:-2] + draw.choice(ends))
            settings = {"delimiter": delimiter, "quote": quote, "encoding": labels.get(encoding, encoding)}
            ending = ".tsv" if delimiter == "\t" else ".csv"
            name = f"{encoding}-{ord(delimiter)}{ending}"
            case(name, out.getvalue(), encoding, settings, sep=delimiter, quotechar=quote)
    plain = "1,a\n2,b\n"
    case("names.csv", plain, "utf-8", {"header": ["n", "t"]}, names=["n", "t"])
    case("numbered.csv", plain, "utf-8", {"header": False}, header=None)
    case("unquoted.csv", 'q,r\n5" disk,"x\n', "utf-8", {"quote": ""}, quoting=csv.QUOTE_NONE)
    with open(f"{folder}/cases.json", "w") as file:
        json.dump(cases, file)
    with open(f"{folder}/numbers.jsonl", "w") as file:
        for _ in range(500):
            file.write(json.dumps({"k": 1})[:-1] + f', "n": {number()}, "l": [{number()}, {{"x": {number()}}}]}}\n')


def number():
    digits = lambda most: "".join(draw.choice("0123456789") for _ in range(draw.randint(1, most)))
    whole = str(int(digits(draw.choice([3, 16, 19, 40]))))
    fraction = draw.choice(["", "", "." + digits(draw.choice([2, 17, 30]))])
    exponent = draw.choice(["", "", "", draw.choice("eE") + draw.choice(["", "+", "-"]) + digits(draw.choice([1, 2, 3]))])
    return draw.choice(["", "-"]) + whole + fraction + exponent


def numbers(written, read):
    load = lambda path: [json.loads(line, parse_float=decimal.Decimal) for line in open(path)]
    for before, after in zip(load(written), load(read), strict=True):
        # A whole number that is written as a fraction, such as 1.0, may be read as 1.
        flat = lambda row: [row["n"], row["l"][0], row["l"][1]["x"]]
        for a, b in zip(flat(before), flat(after), strict=True):
            if decimal.Decimal(a) != decimal.Decimal(b):
                sys.exit(f"{a} was read as {b}")
            if isinstance(a, int) and not isinstance(b, int):
                sys.exit(f"{a} was read as the fraction {b}")


if sys.argv[1] == "write":
    write(sys.argv[2])
else:
    numbers(sys.argv[2], sys.argv[3])
