"""Trains a tiny model with random weights on exports by TRL's trainers, and prints the losses. Usage: train.py SFT DPO KTO"""

import copy
import json
import os
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""

from load import dataset, tokenizer

import torch
import trl
from transformers import Qwen2Config, Qwen2ForCausalLM

STEPS = 2


def tiny(fast):
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
    )
    return Qwen2ForCausalLM(config)


def losses(path, config, trainer, with_reference):
    """The losses of the first steps, and the number of examples that the trainer took."""
    fast = tokenizer("qwen3_training")
    fast.pad_token = fast.eos_token
    model = tiny(fast)
    arguments = config(
        output_dir=tempfile.mkdtemp(dir=os.environ["MATRIX_TEST_FOLDER"]),
        max_steps=STEPS,
        per_device_train_batch_size=2,
        max_length=4096,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        report_to=[],
        save_strategy="no",
    )
    reference = {"ref_model": copy.deepcopy(model)} if with_reference else {}
    training = trainer(model=model, args=arguments, train_dataset=dataset(path), processing_class=fast, **reference)
    training.train()
    return {
        "examples": len(training.train_dataset),
        "losses": [entry["loss"] for entry in training.state.log_history if "loss" in entry],
    }


if __name__ == "__main__":
    torch.manual_seed(0)
    sft, dpo, kto = sys.argv[1:]
    found = {
        "sft": losses(sft, trl.SFTConfig, trl.SFTTrainer, False),
        "dpo": losses(dpo, trl.DPOConfig, trl.DPOTrainer, True),
        "kto": losses(kto, trl.KTOConfig, trl.KTOTrainer, True),
    }
    print(json.dumps(found))
