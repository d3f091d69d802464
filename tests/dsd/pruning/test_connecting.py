"""What is pruned by default: the weights of layers that connect, in any tree of modules."""

import sys
import types
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD

from dsd import Sparsifier
from dsd.pruning.targets import prunable


def sgd(model: nn.Module) -> SGD:
    return SGD(model.parameters(), lr=0.1, momentum=0.9)


class Own(nn.Module):
    """Parameters of a module of one's own."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape)))


class RMSNorm2d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 4, 3, 3))


class LowRank(nn.Linear):
    """A layer with a weight of torch's and a parameter of its own."""

    def __init__(self) -> None:
        super().__init__(4, 6)
        self.mixer = nn.Parameter(torch.randn(4, 4))


# module -> the names below it that are pruned
KINDS = {
    "linear": (lambda: nn.Linear(4, 6), ["weight"]),
    "linear, one output": (lambda: nn.Linear(4, 1), ["weight"]),
    "bilinear": (lambda: nn.Bilinear(2, 3, 4), ["weight"]),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3), ["weight"]),
    "conv2d": (lambda: nn.Conv2d(2, 4, 3), ["weight"]),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), ["weight"]),
    "conv3d": (lambda: nn.Conv3d(2, 4, 3), ["weight"]),
    "transposed": (lambda: nn.ConvTranspose2d(2, 4, 3), ["weight"]),
    "lstm": (
        lambda: nn.LSTM(3, 4, 2, proj_size=2),
        [f"weight_{of}_l{i}" for i in (0, 1) for of in ("ih", "hh", "hr")],
    ),
    "gru": (lambda: nn.GRU(3, 4), ["weight_ih_l0", "weight_hh_l0"]),
    "rnn cell": (lambda: nn.RNNCell(3, 4), ["weight_ih", "weight_hh"]),
    "attention": (lambda: nn.MultiheadAttention(4, 2), ["in_proj_weight", "out_proj.weight"]),
    "cross attention": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=3, add_bias_kv=True),
        ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"],
    ),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8),
        [
            "self_attn.in_proj_weight",
            "self_attn.out_proj.weight",
            "linear1.weight",
            "linear2.weight",
        ],
    ),
    "low rank": (LowRank, ["weight"]),
    "embedding": (lambda: nn.Embedding(7, 4), []),
    "bag": (lambda: nn.EmbeddingBag(7, 4), []),
    "batch norm": (lambda: nn.BatchNorm2d(4), []),
    "layer norm": (lambda: nn.LayerNorm([4, 3, 3]), []),
    "rms norm": (lambda: nn.RMSNorm([4, 3]), []),
    "own norm": (RMSNorm2d, []),
    "prelu": (lambda: nn.PReLU(4), []),
    "scale": (lambda: Own(layer_scale=(4, 1, 1), logit_scale=(3, 1, 1)), []),
    "class token": (lambda: Own(class_token=(1, 1, 8)), []),
    "position": (lambda: Own(pos_embedding=(1, 7, 8)), []),
    "bias table": (lambda: Own(relative_position_bias_table=(9, 3)), []),
    "bias map": (lambda: Own(bias_map=(4, 6, 6)), []),
}
UNSURE = {"embedding", "bag", "position", "bias table", "low rank"}  # named in a warning


def parts() -> st.SearchStrategy:
    return st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6)


@settings(max_examples=80, deadline=None)
@given(parts(), st.integers(0, 2))
def test_any_tree_of_modules(kinds, depth):
    net = nn.ModuleDict()
    expected = []
    for place, kind in enumerate(kinds):
        make, names = KINDS[kind]
        module, prefix = make(), f"m{place}."
        for _ in range(depth):
            module, prefix = nn.Sequential(module), prefix + "0."
        net[f"m{place}"] = module
        expected += [prefix + name for name in names]
    if not expected:
        with pytest.raises(
            ValueError, match="nothing to prune: no weight of a layer that connects"
        ):
            prunable(net, sgd(net))
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        s = Sparsifier(net, sgd(net), sparsity=0.5)
    assert sorted(s.layers) == sorted(expected)
    assert bool(caught) == bool(UNSURE & {*kinds})
    s.sparsify()
    for name, parameter in net.named_parameters():
        zeros = int((parameter == 0).sum())
        if name in expected:
            assert zeros == round(parameter.numel() / 2)


def test_transformers_conv1d_is_a_linear_layer(monkeypatch):
    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))

    library = types.ModuleType("transformers.pytorch_utils")
    library.Conv1D = Conv1D
    net = nn.Sequential(Conv1D(), nn.Linear(6, 2))
    assert list(prunable(net, sgd(net))) == ["1.weight"]
    monkeypatch.setitem(sys.modules, "transformers.pytorch_utils", library)
    assert list(prunable(net, sgd(net))) == ["0.weight", "1.weight"]


def test_a_warning_says_how_to_decide():
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), Own(table=(4, 4), gate=(4, 1)))
    for options, named in (
        ({}, 2),
        ({"exclude": ["0", "2"]}, 0),
        ({"include": ["0", "2.table"]}, 0),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            s = Sparsifier(net, sgd(net), 0.5, **options)
            s.sparsify()
            s.densify()
        assert len(caught) == (named > 0)
        for warning in caught:
            text = str(warning.message)
            assert "0.weight (7, 4), 2.table (4, 4)" in text
            assert "include=[...]" in text
            assert "exclude=[...]" in text
            assert warning.filename == __file__
    assert s.layers == ["0.weight", "1.weight", "2.table"]


@pytest.mark.parametrize(
    ("include", "added"),
    [
        ("2", ["2.table"]),
        ("2.*", ["2.table"]),
        (["*table"], ["2.table"]),
        ("2.gate", ["2.gate"]),  # by its exact name, whatever its shape
        ("0", ["0.weight"]),
        ("1", []),  # pruned in any case
        ("*", ["0.weight", "2.table"]),
    ],
)
def test_include(include, added):
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), Own(table=(4, 4), gate=(4, 1)))
    assert sorted(prunable(net, sgd(net), include=include)) == sorted([*added, "1.weight"])
    assert list(prunable(net, sgd(net), ["0", "2"], include)) == ["1.weight"] if added else True


@pytest.mark.parametrize("include", ["1.bias?", "3", "table"])
def test_an_include_that_names_nothing(include):
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), Own(table=(4, 4), gate=(4, 1)))
    with pytest.raises(
        ValueError, match=r"include: no module or parameter is named .* the nearest"
    ):
        prunable(net, sgd(net), include=include)


def test_an_include_of_scales_alone_or_of_the_frozen():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), Own(table=(4, 4)))
    with pytest.raises(ValueError, match='"1" names no parameter of two or more large axes'):
        prunable(net, sgd(net), include="1")
    net[2].requires_grad_(False)
    with pytest.raises(ValueError, match='"2" names no parameter'):
        prunable(net, sgd(net), include="2")


def test_the_table_says_what_and_why(net):
    s = Sparsifier(net, sgd(net), 0.5, exclude="conv1")
    s.sparsify()
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in str(s).splitlines()}
    assert lines["conv1.weight"] == "4x3x3x3 dense: excluded"
    assert lines["fc.weight"] == "5x4 10 of 20 (50.0%)"
    assert lines["bn1.weight"] == "4 dense: bias, scale or token"
    assert lines.keys() - {"parameter"} == dict(net.named_parameters()).keys()
    net.fc.requires_grad_(False)
    assert "not trained" in str(Sparsifier(net, sgd(net), 0.5))


def test_lazy_layers_have_no_shape_yet():
    net = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"0\.weight: has no shape yet"):
        Sparsifier(net, sgd(net), 0.5)


@pytest.mark.parametrize("kind", ["FullyShardedDataParallel", "zero-3"])
def test_sharded_weights_are_refused_by_name(kind):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    if kind == "zero-3":
        net[1].weight.ds_id = 0
    else:
        net = type(kind, (nn.Sequential,), {})(*net)
    with pytest.raises(ValueError, match=r"over processes.*DistributedDataParallel"):
        Sparsifier(net, sgd(net), 0.5)


@pytest.mark.filterwarnings("ignore:left dense")
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("swin_t", 53),
        ("swin_v2_t", 77),
        ("vit_b_32", 50),
        ("convnext_tiny", 59),
        ("maxvit_t", 151),
        ("mobilenet_v3_small", 54),
    ],
)
def test_public_networks(name, layers):
    """Only weights of layers: no tables, tokens, positions, scales or gains."""
    zoo = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        net = zoo.get_model(name)
    found = prunable(net, sgd(net))
    assert {name.rpartition(".")[2] for name in found} <= {"weight", "in_proj_weight"}
    weights = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)
    assert len(found) == sum(isinstance(m, weights) for m in net.modules()) == layers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:left dense")
def test_gpt2s_projections_are_pruned_and_its_tied_embedding_is_not():
    library = pytest.importorskip("transformers")
    net = library.GPT2LMHeadModel(library.GPT2Config(n_layer=2, n_embd=24, n_head=2))
    names = [f"transformer.h.{i}.{part}.weight" for i in (0, 1) for part in
             ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")]  # fmt: skip
    assert list(prunable(net, sgd(net))) == names
    assert "transformer.wte.weight" in prunable(net, sgd(net), include="lm_head")
