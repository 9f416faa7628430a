"""A dataset on the hub that HF_ENDPOINT names, as the hub's own Python clients read it."""

import json
import sys

from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi, hf_hub_download

name, cache = sys.argv[1:]
api = HfApi()
info = api.dataset_info(name)
loaded = load_dataset(name, cache_dir=cache)
card = DatasetCard.load(hf_hub_download(name, "README.md", repo_type="dataset", cache_dir=cache))
print(
    json.dumps(
        {
            "files": sorted(api.list_repo_files(name, repo_type="dataset")),
            "private": info.private,
            "sha": info.sha,
            "splits": {split: len(rows) for split, rows in loaded.items()},
            "ids": sorted(id for rows in loaded.values() for id in rows["id"]),
            "messages": loaded["train"][0]["messages"],
            "tags": card.data.tags,
            "license": card.data.license,
        }
    )
)
