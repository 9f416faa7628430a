"""Reads an export to sharegpt with LLaMA-Factory's own converter and formatters. Usage: llamafactory_data.py PATH"""

import json
import os
import sys
import types


def package(name):
    """A package of LLaMA-Factory whose own __init__ is not run: it would import what training needs."""
    root = next(path for path in sys.path if os.path.isdir(os.path.join(path, "llamafactory")))
    module = types.ModuleType(name)
    module.__path__ = [os.path.join(root, *name.split("."))]
    sys.modules[name] = module


for name in ("llamafactory", "llamafactory.data", "llamafactory.extras"):
    package(name)

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.formatter import FunctionFormatter, ToolFormatter
from llamafactory.data.parser import DatasetAttr

# The words of its template for Qwen3.
THOUGHT = ("<think>\n", "\n</think>\n\n")
CALL = ("<tool_call>", "</tool_call>")


class Arguments:
    media_dir = os.path.dirname(os.path.abspath(sys.argv[1]))


def convert(row):
    attributes = DatasetAttr("file", "export")
    media = {name: name for name in ("images", "audios") if name in row}
    columns = {"messages": "conversations", "system": "system", "tools": "tools", **media}
    attributes.join({"formatting": "sharegpt", "columns": columns})
    return get_dataset_converter("sharegpt", attributes, Arguments())(row)


def said(message):
    """A turn as the model is trained on it."""
    if message["role"] != "function":
        return message["content"]
    formatter = FunctionFormatter(slots=["{{content}}"], tool_format="qwen")
    return formatter.apply(content=message["content"], thought_words=THOUGHT, tool_call_words=CALL)[0]


def read(row):
    found = convert(row)
    tools = found["_tools"]
    return {
        "turns": [[message["role"], said(message)] for message in found["_prompt"] + found["_response"]],
        "system": found["_system"],
        "tools": ToolFormatter(tool_format="default").apply(content=tools)[0] if tools else "",
        "images": [os.path.isfile(path) for path in found["_images"] or []],
        "audios": [os.path.isfile(path) for path in found["_audios"] or []],
    }


with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps([read(json.loads(line)) for line in file]))
