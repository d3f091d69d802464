"""DSD with accelerate: gradients of two batches add up to a step; masks are in its checkpoints."""

import tempfile

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dsd import Sparsifier
from dsd.integrations import DSDSchedule, Phase

torch.manual_seed(0)
points = torch.randn(512, 16)
data = TensorDataset(points, (points[:, :4] * points[:, 4:8]).argmax(1))
net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model, optimizer, batches = accelerator.prepare(
    net, torch.optim.Adam(net.parameters(), lr=0.01), DataLoader(data, 32, shuffle=True)
)
plan = [Phase(epochs=4), Phase(epochs=4, sparsity=0.5), Phase(epochs=4)]
schedule = DSDSchedule(Sparsifier(model, optimizer, 0.5), plan, steps_per_epoch=8)
accelerator.register_for_checkpointing(schedule)

with tempfile.TemporaryDirectory() as folder:
    while not schedule.done:
        for inputs, labels in batches:
            with accelerator.accumulate(model):
                loss = F.cross_entropy(model(inputs), labels)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                schedule.step()
        print(f"step {schedule.steps}: loss {loss:.3f}, {schedule.sparsifier.zeros:.0%} zeros")
        accelerator.save_state(folder)  # load_state goes on from here
