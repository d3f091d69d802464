"""DSD in a plain loop: dense, 50 % sparse, dense again at a tenth of the rate."""

import torch
from torch import nn
from torch.nn import functional as F

from dsd import Sparsifier
from dsd.integrations import DSDSchedule, Phase

torch.manual_seed(0)
points = torch.randn(512, 16)
labels = (points[:, :4] * points[:, 4:8]).argmax(1)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

plan = [
    Phase(epochs=20, lr=0.1),
    Phase(epochs=20, sparsity=0.5, lr=0.1),
    Phase(epochs=20, lr=0.01),
]
sparsifier = Sparsifier(model, optimizer, sparsity=0.5)
schedule = DSDSchedule(sparsifier, plan, steps_per_epoch=8)
print(sparsifier)

while not schedule.done:
    for batch in torch.randperm(512).split(64):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(points[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        schedule.step()
        if schedule.steps % 160 == 0:
            print(f"step {schedule.steps}: loss {loss:.3f}, {sparsifier.zeros:.0%} zeros")
