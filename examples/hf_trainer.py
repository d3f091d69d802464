"""DSD in Hugging Face's Trainer: a small GPT-2 from its config learns to count."""

import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from dsd.integrations.transformers import DSDCallback

torch.manual_seed(0)
config = GPT2Config(
    n_layer=2, n_head=2, n_embd=32, n_positions=16, vocab_size=32, bos_token_id=0, eos_token_id=0
)
starts = torch.randint(32, (256, 1))
texts = [{"input_ids": text, "labels": text} for text in (starts + torch.arange(16)) % 32]
plan = [
    {"epochs": 2, "lr": 5e-3},
    {"epochs": 2, "sparsity": 0.3, "lr": 2e-3},
    {"epochs": 2, "lr": 5e-4},
]
dsd = DSDCallback(plan, exclude=["transformer.wte", "transformer.wpe"])
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        num_train_epochs=6,
        per_device_train_batch_size=16,
        logging_steps=16,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(GPT2LMHeadModel(config), arguments, train_dataset=texts, callbacks=[dsd])
    trainer.train()  # resume_from_checkpoint=True goes on with the masks of the checkpoint
