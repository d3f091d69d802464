"""Weights from every kind of source, and what is said of sources that do not fit."""

import os
import pickle
from argparse import Namespace
from collections import OrderedDict
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dsd.errors import UserError
from models import build
from models.weights import CLASSIFIERS, load_weights, resolve, trained_with


def states_equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def source_state():
    """ResNet-20's state with every value set to something."""
    state = build("resnet20").state_dict()
    return {
        key: torch.randn_like(value) if value.is_floating_point() else value + 7
        for key, value in state.items()
    }


def write(path, state):
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.suffix == ".npz":
        np.savez(path, **{key: value.numpy() for key, value in state.items()})
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth", "bin", "npz"])
def test_round_trip(tmp_path, source_state, suffix):
    net = build("resnet20")
    load_weights(net, write(tmp_path / f"w.{suffix}", source_state), network="resnet20")
    assert states_equal(net.state_dict(), source_state)


@pytest.mark.parametrize("wrapper", ["model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_state_dict(tmp_path, source_state, wrapper, prefix):
    inner = OrderedDict((prefix + key, value) for key, value in source_state.items())
    path = write(tmp_path / "w.pt", {wrapper: inner, "epoch": 3, "optimizer": {"lr": 0.1}})
    net = build("resnet20")
    load_weights(net, str(path), network="resnet20")
    assert states_equal(net.state_dict(), source_state)


@pytest.mark.parametrize("name", ["model_best.pth.tar", "last.ckpt", "W.PT", "w.bin"])
@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module."]
)
def test_weights_as_wrappers_save_them(tmp_path, source_state, name, prefix):
    inner = {"n_averaged": torch.tensor(3)} | {prefix + k: v for k, v in source_state.items()}
    saved = {"state_dict": inner, "args": Namespace(lr=0.1, data="/x"), "epoch": 3}
    saved |= {"best_acc1": np.float64(71.2), "step": np.int64(9), "lr": np.float32(0.1)}
    torch.save(saved, tmp_path / name)
    net = build("resnet20")
    load_weights(net, tmp_path / name, network="resnet20")
    assert states_equal(net.state_dict(), source_state)


def test_batch_normalisation_counters_may_be_absent(tmp_path, source_state):
    old = {k: v for k, v in source_state.items() if not k.endswith("num_batches_tracked")}
    net = build("resnet20")
    load_weights(net, write(tmp_path / "w.pth", old), network="resnet20")
    assert states_equal({k: v for k, v in net.state_dict().items() if k in old}, old)


class TestAnotherNumberOfClasses:
    @pytest.fixture
    def path(self, tmp_path):
        return write(tmp_path / "w.safetensors", build("squeezenet1_1").state_dict())

    def test_fresh_head(self, path):
        net = build("squeezenet1_1", num_classes=10)
        before = {key: value.clone() for key, value in net.state_dict().items()}
        load_weights(net, path, network="squeezenet1_1", fresh_head=True)
        full = build("squeezenet1_1")
        load_weights(full, path, network="squeezenet1_1")
        for key, value in net.state_dict().items():
            source = before if key.startswith("classifier.") else full.state_dict()
            assert torch.equal(value, source[key]), key

    def test_fresh_head_of_the_same_size_is_loaded(self, path):
        net, twin = build("squeezenet1_1"), build("squeezenet1_1")
        load_weights(net, path, network="squeezenet1_1", fresh_head=True)
        load_weights(twin, path, network="squeezenet1_1")
        assert states_equal(net.state_dict(), twin.state_dict())

    def test_without_it_is_an_error(self, path):
        expected = (
            r"w\.safetensors: 'classifier\.1\.(weight|bias)' is \(1000,.*\), but squeezenet1_1 "
            r"needs \(10,.*\); build it with num_classes=1000$"
        )
        with pytest.raises(UserError, match=expected):
            load_weights(build("squeezenet1_1", num_classes=10), path, network="squeezenet1_1")

    @pytest.mark.parametrize("network", CLASSIFIERS)
    def test_classifiers_are_what_depends_on_it(self, network):
        with torch.device("meta"):
            ten, nine = (build(network, num_classes=n).state_dict() for n in (10, 9))
        differ = {key.rpartition(".")[0] for key in ten if ten[key].shape != nine[key].shape}
        assert differ == set(CLASSIFIERS[network])


class TestErrors:
    """Each is one line that names the file; the network stays as it was."""

    @staticmethod
    def refused(source, network="resnet20", **options):
        net = build(network)
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with pytest.raises(UserError) as caught:
            load_weights(net, source, network=network, **options)
        assert states_equal(net.state_dict(), before)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"{source}: ")
        return message

    def test_missing_file(self, tmp_path):
        assert "no such file; give one" in self.refused(tmp_path / "w.pt")
        assert "no such file" in self.refused(tmp_path)

    def test_unknown_suffix(self, tmp_path):
        (tmp_path / "w.h5").write_bytes(b"x")
        assert "known: .safetensors, .pt, " in self.refused(tmp_path / "w.h5")

    def test_missing_key(self, tmp_path, source_state):
        state = {key: value for key, value in source_state.items() if key != "layer2.0.bn1.bias"}
        message = self.refused(write(tmp_path / "w.pt", state))
        assert "has no 'layer2.0.bn1.bias' (32,), which resnet20 needs" in message

    def test_unexpected_key(self, tmp_path, source_state):
        message = self.refused(write(tmp_path / "w.pt", {**source_state, "x": torch.ones(2, 3)}))
        assert "'x' (2, 3) is not a parameter of resnet20" in message

    @pytest.mark.parametrize("fresh_head", [False, True])
    def test_shape(self, tmp_path, source_state, fresh_head):
        state = {**source_state, "layer1.0.conv1.weight": torch.ones(16, 16, 5, 5)}
        message = self.refused(write(tmp_path / "w.pt", state), fresh_head=fresh_head)
        assert "'layer1.0.conv1.weight' is (16, 16, 5, 5), but resnet20 needs (16, 16, 3, 3)" in (
            message
        )

    @pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth", "bin", "npz", "caffemodel"])
    @pytest.mark.parametrize("kept", [0, 9, 1000])
    def test_damaged(self, tmp_path, source_state, suffix, kept):
        whole = b"\xa2\x06\xff\x7f" + bytes(2000)  # a layer of 16 383 bytes, says its length
        if suffix != "caffemodel":
            whole = write(tmp_path / f"whole.{suffix}", source_state).read_bytes()
        path = tmp_path / f"w.{suffix}"
        path.write_bytes(whole[:kept])
        assert any(word in self.refused(path) for word in ("cannot be read", "damaged", "has no"))

    @pytest.mark.parametrize("state", [[1, 2], torch.ones(3), {"model": {"a": {"b": 1}}}])
    def test_not_a_state_dict(self, tmp_path, state):
        torch.save(state, tmp_path / "w.pt")
        assert "cannot be read as .pt" in self.refused(tmp_path / "w.pt")

    def test_pickled_code_is_not_run(self, tmp_path):
        class Code:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        for suffix in ("pt", "bin"):
            torch.save({"state_dict": Code()}, tmp_path / f"w.{suffix}")
            assert "refused, for it holds more than tensors" in self.refused(
                tmp_path / f"w.{suffix}"
            )
        (tmp_path / "plain.pth").write_bytes(pickle.dumps(Code(), protocol=2))
        assert "refused" in self.refused(tmp_path / "plain.pth")
        np.savez(tmp_path / "w.npz", x=np.array([Code()], dtype=object))
        assert "cannot be read as .npz (Object arrays" in self.refused(tmp_path / "w.npz")
        assert not (tmp_path / "ran").exists()

    def test_whole_pickled_network(self, tmp_path):
        torch.save(build("resnet20"), tmp_path / "w.pt")
        assert "save the state dict alone" in self.refused(tmp_path / "w.pt")


class TestTorchvision:
    """Its own loader, on a file in torch's cache; nothing is downloaded."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))

        def offline(*_args, **_kwargs):
            raise URLError("offline")

        monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        return folder

    def test_by_name(self, cache):
        source = build("squeezenet1_1").state_dict()
        torch.save(source, cache / "squeezenet1_1-b8a52dc0.pth")
        net = build("squeezenet1_1")
        load_weights(net, "torchvision:IMAGENET1K_V1", network="squeezenet1_1")
        assert states_equal(net.state_dict(), source)

    def test_unknown_name(self):
        message = TestErrors.refused("torchvision:IMAGENET1K_V9", "resnet18")
        assert message.endswith("no such weights of resnet18; known: IMAGENET1K_V1")

    @pytest.mark.parametrize("network", ["resnet20", "googlenet"])
    def test_network_of_ours(self, network):
        message = TestErrors.refused("torchvision:IMAGENET1K_V1", network)
        assert f"torchvision has no weights of our {network}" in message

    def test_no_network(self):
        message = TestErrors.refused("torchvision:DEFAULT", "squeezenet")
        assert "offline" in message
        assert "/squeezenet1_0-b66bff10.pth and give the file" in message


def test_resolve(tmp_path):
    assert resolve("torchvision:IMAGENET1K_V1") == "torchvision:IMAGENET1K_V1"
    (tmp_path / "w.npz").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert resolve(tmp_path / "w.npz") == f"w.npz sha256:{digest}"
    with pytest.raises(UserError, match=r"none\.npz: no such file"):
        resolve(tmp_path / "none.npz")


def test_trained_with():
    assert trained_with("torchvision:IMAGENET1K_V1") == "torchvision"
    assert trained_with("a/b.npz") == trained_with("vgg.caffemodel") == "caffe"
    assert trained_with("w.safetensors") is None
