"""Each command that README and docs show can work: it parses, and its names are known.

Those that need nothing but the checkout are run by test_pages_run.py.
"""

import re

import pytest

from tests.docs.checks import Wrong, check
from tests.docs.pages import PAGES, Command, blocks, commands, mentioned

SHOWN = [command for page in PAGES for command in commands(page)]
TOLD = [command for page in PAGES for command in mentioned(page)]


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_a_command_in_a_block_can_work(command):
    _passes(command, prose=False)


@pytest.mark.parametrize("command", TOLD, ids=str)
def test_a_command_in_the_text_can_work(command):
    _passes(command, prose=True)


def test_no_command_is_overlooked():
    """Blocks are fenced: an indented one would be taken for text."""
    for page in PAGES:
        text = page.read_text()
        for block in blocks(page):
            text = text.replace("\n".join(block.lines), "", 1)
        assert not re.search(r"\n\n    [^-*\s]", text), page
    assert len(SHOWN) > 40
    assert len(TOLD) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_a_block_is_python(page):
    for block in blocks(page):
        if block.language == "python":
            compile("\n".join(block.lines), f"{block.page}:{block.line}", "exec")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dds list", "dds is none of"),
        ("dsd lits", "no command"),
        ("dsd run imagenet-resnet8", "did you mean 'imagenet-resnet18'"),
        ("dsd run imagenet-resnet18 --scal mini", "--scal"),
        ("dsd run imagenet-resnet18 --scale mine", "did you mean 'mini'"),
        ("dsd run imagenet-resnet18 --arm dds", "did you mean 'dsd'"),
        ("dsd run imagenet-resnet18 --seed 4-0", "ends before it begins"),
        ("dsd run imagenet-resnet18 phases.dense.epoch=3", "did you mean 'epochs'"),
        ("dsd run imagenet-resnet18 task.batchsize=3", "did you mean 'batch_size'"),
        ("dsd sweep imagenet-resnet18 phases.sparse.sparsity=0.3,1.5", "sparsity"),
        ("dsd show", "recipe"),
        ("dsd verify imagenett /path", "did you mean 'imagenette'"),
        ("dsd score blue --hypotheses a --references b", "no command"),
        ("dsd curves results/runs/imagenet-*.json", "no file"),
        ("IMAGNET=/path dsd run imagenet-resnet18", "IMAGNET"),
        ("make imagenet-resnet18-dds", "imagenet-resnet18-dds"),
        ("make imagenet-resnet18-dsd SCALE=mine", "did you mean 'mini'"),
        ("make imagenet-resnet18-dsd SEEDS=3", "nothing reads SEEDS"),
        ("make tables ARGS=--latx", "--latx"),
        ("python -m tests.loops.surveys", "no module"),
        ("torchrun --processes 8 -m dsd run imagenet-resnet18", "torchrun"),
        ("torchrun --nproc-per-node 8 -m dsd run imagenet-resnet18 --arm x", "no arm"),
        ("pip install 'dsd-training[clu]'", "no extra clu"),
    ],
)
def test_a_fault_is_seen(text, fault):
    with pytest.raises(Wrong, match=fault):
        check(Command("page.md", 1, text))


def _passes(command: Command, prose: bool) -> None:
    try:
        check(command, prose)
    except Wrong as wrong:
        pytest.fail(f"{command}\n{wrong}", pytrace=False)
