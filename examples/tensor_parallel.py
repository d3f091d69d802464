"""DSD with layers split over processes: torchrun --nproc-per-node 2 examples/tensor_parallel.py"""

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn import functional as F

from dsd import Sparsifier
from dsd.integrations import DSDSchedule, Phase

distributed.init_process_group("gloo")
mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
torch.manual_seed(0)  # tensor parallelism: the same data and first weights everywhere
points = torch.randn(512, 16)
labels = (points[:, :4] * points[:, 4:8]).argmax(1)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})

# After the model is split: the optimizer must train what is there now.
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
sparsifier = Sparsifier(model, optimizer, sparsity=0.5)
plan = [Phase(epochs=9, lr=0.1), Phase(epochs=9, sparsity=0.5, lr=0.1), Phase(epochs=9, lr=0.01)]
schedule = DSDSchedule(sparsifier, plan, steps_per_epoch=8)

while not schedule.done:
    for batch in torch.randperm(512).split(64):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(points[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        schedule.step()
        if schedule.steps % 72 == 0 and distributed.get_rank() == 0:
            print(f"step {schedule.steps}: loss {loss:.3f}, {sparsifier.zeros:.0%} zeros")
distributed.destroy_process_group()
