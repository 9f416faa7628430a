"""Loads an export with the program that it is for, and prints what it found as JSON. Usage: load.py HOW PATH [SOURCE]"""

import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"


def same(loaded, written):
    """Equal, and no key more."""
    return json.dumps(loaded, sort_keys=True) == json.dumps(written, sort_keys=True)


def dataset(path, split="train"):
    from datasets import load_dataset

    cache = tempfile.mkdtemp(dir=os.environ["MATRIX_TEST_FOLDER"])
    if path.endswith(".jsonl"):
        return load_dataset("json", data_files=path, split="train", cache_dir=cache)
    if path.endswith(".parquet"):
        return load_dataset("parquet", data_files=path, split="train", cache_dir=cache)
    return load_dataset(path, split=split, cache_dir=cache)


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def check_jsonl(path, written=None):
    """`datasets` gives back every row of a file of lines, or of a folder of them, as it was written."""
    loaded = dataset(path)
    different = [number for number, (a, b) in enumerate(zip(loaded, lines(written or path), strict=True)) if not same(a, b)]
    return {"rows": len(loaded), "different": different[:3], "features": {name: str(type) for name, type in loaded.features.items()}}


def check_parquet(path, source):
    """`datasets` and pyarrow give back the same messages as the lines of another export of the same records."""
    import pyarrow.parquet

    loaded = dataset(path)
    table = pyarrow.parquet.read_table(path)
    different = []
    for number, (row, arrow, line) in enumerate(zip(loaded, table.to_pylist(), lines(source), strict=True)):
        texts = [json.loads(text) for text in arrow["messages"]]
        if not same(row["messages"], line["messages"]) or not same(texts, line["messages"]) or json.loads(row["tools"]) != line.get("tools", []):
            different.append(number)
    first = loaded[0]
    return {
        "rows": len(loaded),
        "different": different[:3],
        "schema": {field.name: str(field.type) for field in table.schema},
        "first": {key: first[key] for key in ("id", "trial", "score", "simulated", "row", "train")},
    }


def check_folder(path):
    """Every split of a folder, by its card alone."""
    from datasets import load_dataset
    from huggingface_hub import DatasetCard

    cache = tempfile.mkdtemp(dir=os.environ["MATRIX_TEST_FOLDER"])
    loaded = load_dataset(path, cache_dir=cache)
    card = DatasetCard.load(os.path.join(path, "README.md"))
    return {
        "splits": {name: len(split) for name, split in loaded.items()},
        "ids": {name: sorted(set(split["id"])) if "id" in split.column_names else [] for name, split in loaded.items()},
        "features": {name: str(type) for name, type in next(iter(loaded.values())).features.items()},
        "license": card.data.license,
        "tags": card.data.tags,
    }


def templates():
    """Paths of the chat templates that TRL ships, by their names."""
    import trl

    folder = os.path.join(os.path.dirname(trl.__file__), "chat_templates")
    return {name[:-6]: os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".jinja")}


def tokenizer(template="qwen3_training"):
    """A tokenizer of bytes with a chat template, by default the one that TRL trains Qwen3 with."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    model = models.BPE(vocab={letter: number for number, letter in enumerate(sorted(alphabet))}, merges=[])
    bare = Tokenizer(model)
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = PreTrainedTokenizerFast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>")
    with open(templates()[template], encoding="utf-8") as file:
        fast.chat_template = file.read()
    return fast


def check_template(path):
    """TRL renders every example by a chat template, as its trainers do before they tokenize."""
    from trl.data_utils import apply_chat_template, is_conversational

    fast = tokenizer()
    rendered = []
    for example in dataset(path):
        assert is_conversational(example)
        tools = json.loads(example.pop("tools"))
        rendered.append(apply_chat_template(example, fast, tools=tools or None))
    return {"rows": len(rendered), "rendered": rendered[:3]}


def check_count(path):
    """The number of rows, after every one of them was read."""
    return {"rows": len(list(dataset(path)))}


def check_arguments(path):
    """The arguments of the first call, as a template would write them."""
    message = next(turn for turn in dataset(path)[0]["messages"] if turn["role"] == "assistant")
    return json.dumps(message["tool_calls"][0]["function"]["arguments"])


def check_row(path):
    """The dataset's row of the first record."""
    return json.dumps(dataset(path)[0]["row"])


def check_images(path):
    """The sizes of the images of each row."""
    return [[image.size for image in row["images"]] for row in dataset(path)]


def check_vision(path):
    """What TRL's preparation and the template of Qwen2.5-VL make of the first example."""
    from trl.data_utils import apply_chat_template, prepare_multimodal_messages

    example = dataset(path)[0]
    messages = prepare_multimodal_messages(example["messages"], example["images"])
    return apply_chat_template({"messages": messages}, tokenizer("qwen2_5_vl"))["text"]


VISION = ("idefics3", "smolvlm", "llava_next")
"""Models whose templates take lists of parts alone. TRL prepares their messages."""


def check_templates(path):
    """What each template of TRL makes of every example after its question, or the error that it raises."""
    from jinja2.exceptions import TemplateError
    from trl.data_utils import apply_chat_template, prepare_multimodal_messages

    def rendered(name, example):
        messages = example["messages"]
        question = next(turn["content"] for turn in messages if turn["role"] == "user")
        if name.removesuffix("_training") in VISION:
            messages = prepare_multimodal_messages(messages)
        try:
            text = apply_chat_template({"messages": messages}, tokenizer(name), tools=json.loads(example["tools"]) or None)["text"]
        except (TemplateError, TypeError) as error:
            return f"{type(error).__name__}: {error}"
        return text.split(question)[1]

    examples = list(dataset(path))
    return {name: [rendered(name, example) for example in examples] for name in templates()}


if __name__ == "__main__":
    how, *arguments = sys.argv[1:]
    checks = {
        "arguments": check_arguments,
        "count": check_count,
        "folder": check_folder,
        "images": check_images,
        "jsonl": check_jsonl,
        "parquet": check_parquet,
        "row": check_row,
        "template": check_template,
        "templates": check_templates,
        "vision": check_vision,
    }
    print(json.dumps(checks[how](*arguments)))
