"""Caffe's names and files: synthetic ones, for the published may not be shipped."""

import numpy as np
import pytest
import torch
from torch import nn

from dsd.errors import UserError
from models import build
from models.caffe import LAYERS, parameter_name, read_caffemodel
from models.weights import load_weights

BRANCHES = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
NAMES = ("squeeze1x1", "expand1x1", "expand3x3")  # of SqueezeNet's release
OLD_NAMES = ("conv1x1_1", "conv1x1_2", "conv3x3_2")  # of the authors' pruned SqueezeNet


def fires(names):
    return [f"fire{n}/{name}" for n in range(2, 10) for name in names]


PROTOTXT = {  # the layers of each prototxt, in the order in which they run
    "alexnet": [["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]],
    "vgg16": [
        [
            *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
            *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3"),
            *("fc6", "fc7", "fc8"),
        ]
    ],
    "googlenet": [
        [
            *("conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"),
            *(
                f"inception_{block}/{branch}"
                for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
                for branch in BRANCHES
            ),
            *("loss3/classifier", "loss1/conv", "loss1/fc", "loss1/classifier"),
            *("loss2/conv", "loss2/fc", "loss2/classifier"),
        ]
    ],
    "squeezenet": [
        ["conv1", *fires(NAMES), "conv10"],
        ["conv1", *fires(OLD_NAMES), "conv_final"],
    ],
}
PROTOTXT["squeezenet1_1"] = PROTOTXT["squeezenet"]
CASES = [(network, layers) for network, lists in PROTOTXT.items() for layers in lists]


@pytest.mark.parametrize(("network", "layers"), CASES)
def test_layers_run_in_caffes_order(network, layers):
    with torch.device("meta"):
        net = build(network).train()
    run = []
    for key, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(lambda _, __, key=key: run.append(f"{key}.weight"))
    net(torch.empty(2, 3, 227, 227, device="meta"))
    assert [parameter_name(f"{layer}/w", network) for layer in layers] == run
    names = {parameter_name(f"{layer}/{part}", network) for layer in layers for part in "wb"}
    assert names == net.state_dict().keys()


def test_no_layer_is_untested():
    tested = {(network, layer) for network, layers in CASES for layer in layers}
    assert tested == {(network, layer) for network, table in LAYERS.items() for layer in table}


def squeezenet1_1_arrays(names, last):
    """The layers and shapes of SqueezeNet 1.1's published file, with values of our own."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (64, 3, 3, 3)}
    inputs = 64
    squeezes = (16, 16, 32, 32, 48, 48, 64, 64)
    for n, squeeze in enumerate(squeezes, start=2):
        sides = (inputs, squeeze, squeeze)
        outs = (squeeze, 4 * squeeze, 4 * squeeze)
        for name, out, side, kernel in zip(names, outs, sides, (1, 1, 3), strict=True):
            shapes[f"fire{n}/{name}"] = (out, side, kernel, kernel)
        inputs = 8 * squeeze
    shapes[last] = (1000, 512, 1, 1)
    arrays = {}
    for layer, shape in shapes.items():
        arrays[f"{layer}/w"] = rng.standard_normal(shape, dtype=np.float32)
        arrays[f"{layer}/b"] = rng.standard_normal(shape[0], dtype=np.float32)
    return arrays


@pytest.mark.parametrize(("names", "last"), [(NAMES, "conv10"), (OLD_NAMES, "conv_final")])
def test_npz(tmp_path, names, last):
    arrays = squeezenet1_1_arrays(names, last)
    assert len(arrays) == 52
    np.savez(tmp_path / "w.npz", **arrays)
    net = build("squeezenet1_1")
    load_weights(net, tmp_path / "w.npz", network="squeezenet1_1")
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    values = iter(arrays.values())
    for conv in convs:
        assert np.array_equal(conv.weight.detach(), next(values))
        assert np.array_equal(conv.bias.detach(), next(values))


@pytest.mark.parametrize("old", [False, True])
def test_caffemodel(tmp_path, old):
    """Written by the protobuf library after caffe.proto; `old`: as Caffe did before 2015."""
    shapes = {"conv/w": (200, 3, 1, 1), "conv/b": (200,), "fc/w": (5, 300), "fc/b": (5,)}
    rng = np.random.default_rng(0)
    arrays = {key: rng.standard_normal(shape, dtype=np.float32) for key, shape in shapes.items()}
    message = caffe_proto(old)(name="a net")
    for layer in ("data", "conv", "fc"):
        entry = (message.layers if old else message.layer).add(name=layer, bottom=["x" * 300])
        for array in (arrays[f"{layer}/{part}"] for part in "wb" if layer != "data"):
            blob = entry.blobs.add(data=array.ravel().tolist())
            if old:
                axes = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = axes
            else:
                blob.shape.dim.extend(array.shape)
    (tmp_path / "w.caffemodel").write_bytes(message.SerializeToString())
    found = read_caffemodel(tmp_path / "w.caffemodel")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[key], array) for key, array in arrays.items())


def test_key_of_no_layer_is_named(tmp_path):
    arrays = squeezenet1_1_arrays(NAMES, "conv10")
    arrays["fire10/squeeze1x1/w"] = np.zeros((1, 2, 3, 4), np.float32)
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(
        UserError, match=r"w\.npz: 'fire10/squeeze1x1/w' \(1, 2, 3, 4\) is not a parameter of"
    ):
        load_weights(build("squeezenet1_1"), tmp_path / "w.npz", network="squeezenet1_1")


def caffe_proto(old):
    """NetParameter with those fields of caffe.proto that hold weights."""
    pb = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    layer = "V1LayerParameter" if old else "LayerParameter"
    name, bottom, blobs = (4, 2, 6) if old else (1, 3, 7)
    messages = {
        "BlobShape": [("dim", 1, "INT64", True)],
        "BlobProto": [
            ("num", 1, "INT32", False), ("channels", 2, "INT32", False),
            ("height", 3, "INT32", False), ("width", 4, "INT32", False),
            ("data", 5, "FLOAT", True), ("shape", 7, "BlobShape", False),
        ],
        layer: [
            ("name", name, "STRING", False), ("bottom", bottom, "STRING", True),
            ("blobs", blobs, "BlobProto", True),
        ],
        "NetParameter": [
            ("name", 1, "STRING", False),
            ("layers", 2, layer, True) if old else ("layer", 100, layer, True),
        ],
    }  # fmt: skip
    file = pb.FileDescriptorProto(name=f"{layer}.proto", package=layer, syntax="proto2")
    field_type = pb.FieldDescriptorProto
    for message, fields in messages.items():
        entry = file.message_type.add(name=message)
        for key, number, kind, repeated in fields:
            field = entry.field.add(name=key, number=number, label=3 if repeated else 1)
            if kind in messages:
                field.type, field.type_name = field_type.TYPE_MESSAGE, f".{layer}.{kind}"
            else:
                field.type = getattr(field_type, f"TYPE_{kind}")
                field.options.packed = repeated and kind != "STRING"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{layer}.NetParameter"))
