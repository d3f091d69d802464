"""DSD in Lightning's Trainer."""

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dsd.integrations import Phase
from dsd.integrations.lightning import DSDCallback


class Net(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss = F.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


lightning.seed_everything(0)
points = torch.randn(512, 16)
data = TensorDataset(points, (points[:, :4] * points[:, 4:8]).argmax(1))
plan = [Phase(epochs=4), Phase(epochs=4, sparsity=0.5), Phase(epochs=4)]
trainer = lightning.Trainer(
    accelerator="cpu",
    max_epochs=12,
    callbacks=[DSDCallback(plan)],
    logger=False,
    enable_checkpointing=False,
)
trainer.fit(Net(), DataLoader(data, batch_size=64, shuffle=True))
print({name: value.item() for name, value in trainer.callback_metrics.items()})
