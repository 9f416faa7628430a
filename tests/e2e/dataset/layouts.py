"""The files of each config and split of folders, as the `datasets` library finds them.

Reads a list of layouts as JSON on stdin: {"files": [path], "texts": {path: text}}. Prints a list with, for each
layout, {"default": SPLITS, "configs": {name: SPLITS}}, where SPLITS is {split: [path]} or {"error": message}.
"""

import json
import os
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

from datasets import load_dataset_builder
from datasets.load import LocalDatasetModuleFactory


def splits_of(folder, config):
    try:
        builder = load_dataset_builder(folder, config)
        found = builder.config.data_files
        return {str(split): [os.path.relpath(path, folder) for path in files] for split, files in found.items()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def configs_of(folder):
    try:
        module = LocalDatasetModuleFactory(folder).get_module()
        return list(module.builder_configs_parameters.metadata_configs or [])
    except Exception:
        return []


def look(layout):
    folder = os.path.realpath(tempfile.mkdtemp(dir=os.environ["MATRIX_TEST_FOLDER"]))
    for path in layout["files"]:
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        open(os.path.join(folder, path), "w").close()
    for path, text in layout["texts"].items():
        with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
            file.write(text)
    configs = configs_of(folder)
    found = {"default": splits_of(folder, None), "configs": {name: splits_of(folder, name) for name in configs}}
    shutil.rmtree(folder)
    return found


print(json.dumps([look(layout) for layout in json.load(sys.stdin)]))
