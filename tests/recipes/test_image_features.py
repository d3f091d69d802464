"""Image features: what is computed, and that a stopped extraction goes on to the same bits."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from data.flickr8k import image_files
from data.mini.images import render
from dsd.errors import UserError
from models import build
from models.efficientnet_lite import weights_file
from recipes import image_features as features
from recipes.flickr8k import commands
from recipes.image_features import Encoder


def extract(root, *options):
    return features.extract(root, image_files(root), "efficientnet_lite0", *options)


@pytest.fixture
def root(tmp_path):
    """A Flickr-8K folder with nine pictures of all shapes."""
    folder = tmp_path / "Flicker8k_Dataset"
    folder.mkdir()
    for i in range(9):
        rng = np.random.default_rng(i)
        width, height = rng.integers(40, 300, 2)
        Image.fromarray(render(i, width, height, rng)).save(folder / f"{(i * 4) % 9}.jpg")
    (folder / "readme.txt").write_text("no picture")
    return tmp_path


@pytest.fixture(scope="module")
def lite():
    return Encoder("efficientnet_lite0")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(features, "PART", 2)


@pytest.fixture
def calls(monkeypatch):
    """The sizes of the parts that were computed; `calls.stop_at` stops before that one."""

    class Calls(list):
        stop_at = None

    calls, encode = Calls(), Encoder.__call__

    def counted(encoder, images):
        if len(calls) == calls.stop_at:
            raise KeyboardInterrupt
        calls.append(len(images))
        return encode(encoder, images)

    monkeypatch.setattr(Encoder, "__call__", counted)
    return calls


def pictures(root):
    return sorted((root / "Flicker8k_Dataset").glob("*.jpg"))


def hidden(root):
    return [path.name for path in root.iterdir() if path.name.startswith(".")]


class TestEncoder:
    def test_is_the_network_on_the_squashed_pixels(self, root, lite):
        (path, *_) = pictures(root)
        image = Image.open(path).convert("RGB")
        squashed = image.resize((224, 224), Image.Resampling.BICUBIC)
        pixels = (torch.from_numpy(np.array(squashed)).permute(2, 0, 1)[None] - 127.0) / 128
        with torch.inference_mode():
            expected = lite._net(pixels)
        assert expected.shape == (1, 1280)
        torch.testing.assert_close(lite([path]), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(lite([image]), lite([path]), rtol=0, atol=0)

    def test_images_do_not_depend_on_their_batch(self, root, lite):
        paths = pictures(root)
        assert len(paths) > features.BATCH
        alone = torch.cat([lite([path]) for path in paths])
        torch.testing.assert_close(lite(paths[:3]), alone[:3], rtol=0, atol=1e-5)
        torch.testing.assert_close(lite(paths), alone, rtol=0, atol=1e-5)
        assert (alone[0] - alone[1]).abs().max() > 0.1

    def test_source_of_the_weights(self, lite):
        assert lite.weights.startswith("efficientnet-lite0-57934424.pth sha256:579344248a93")

    @pytest.mark.parametrize(
        ("network", "message"),
        [
            ("efficientnet_lite", r"'efficientnet_lite'; did you mean 'efficientnet_lite0'\?$"),
            ("transformer", "'transformer'; known: vgg16, efficientnet_lite0$"),
        ],
    )
    def test_unknown_network(self, network, message):
        with pytest.raises(UserError, match=f"^no features are computed with network {message}"):
            Encoder(network)

    def test_missing_weights(self):
        with pytest.raises(UserError, match=r"^no\.pth: no such file; give one"):
            Encoder("efficientnet_lite0", "no.pth")


class TestVgg16:
    @pytest.fixture
    def vgg(self, monkeypatch):
        """VGG-16 with random weights; loading real ones is tested with models/weights.py."""
        with torch.device("meta"):
            net = build("vgg16")
        net.to_empty(device="cpu")
        for parameter in net.parameters():
            torch.nn.init.uniform_(parameter, -0.02, 0.02)
        monkeypatch.setattr(features, "build", lambda network: net)
        monkeypatch.setattr(features, "load_weights", lambda *_, **__: None)
        return Encoder("vgg16")

    def test_features_are_fc7_after_its_relu(self, vgg):
        image = Image.fromarray(render(0, 60, 90, np.random.default_rng(0)))
        fc7 = []
        vgg._net.classifier[3].register_forward_hook(lambda _, __, y: fc7.append(y.clone()))
        got = vgg([image, image])
        assert got.shape == (2, 4096)
        assert (got >= 0).all()
        assert 0.1 < (got > 0).float().mean() < 0.9
        torch.testing.assert_close(got, fc7[0].relu())
        assert vgg.weights == "torchvision:IMAGENET1K_V1"

    def test_pixels_belong_to_the_weights(self):
        red = Image.new("RGB", (2, 1), (255, 0, 0))
        for caffe in ("vgg.caffemodel", "vgg.npz"):
            pixels = features._pixels("vgg16", caffe)(red)  # BGR less NeuralTalk's mean
            assert pixels[:, 0, 1].tolist() == pytest.approx([-103.939, -116.779, 131.32], abs=1e-3)
        for source in ("torchvision:IMAGENET1K_V1", "vgg16-397923af.pth"):
            np.testing.assert_array_equal(
                features._pixels("vgg16", source)(red), features.normalised(red)
            )


def test_extract(root, lite):
    path = extract(root)
    assert path == root / "features_efficientnet_lite0.npz"
    file = np.load(path)
    assert file["names"].tolist() == [f"{i}.jpg" for i in range(9)]
    assert file["feats"].dtype == np.float16
    np.testing.assert_array_equal(file["feats"], lite(pictures(root)).numpy().astype(np.float16))
    assert file["weights"] == lite.weights
    assert hidden(root) == []


@pytest.mark.usefixtures("small_parts")
class TestStopped:
    def whole(self, root):
        path = extract(root)
        data = path.read_bytes()
        path.unlink()
        return data

    def test_goes_on_to_the_same_bits(self, root, calls):
        expected = self.whole(root)
        assert calls == [2, 2, 2, 2, 1]
        calls.clear()
        calls.stop_at = 3
        with pytest.raises(KeyboardInterrupt):
            extract(root)
        assert not (root / "features_efficientnet_lite0.npz").exists()
        assert hidden(root) == [".features_efficientnet_lite0.part"]
        calls.stop_at = None
        assert extract(root).read_bytes() == expected
        assert calls == [2, 2, 2, 2, 1]
        assert hidden(root) == []

    def test_parts_of_other_weights_are_not_taken(self, root, calls, tmp_path):
        expected = self.whole(root)
        state = torch.load(weights_file(), weights_only=True)
        state["_conv_head.weight"] = state["_conv_head.weight"].flip(0)
        torch.save(state, tmp_path / "other.pth")
        calls.clear()
        calls.stop_at = 3
        with pytest.raises(KeyboardInterrupt):
            extract(root, str(tmp_path / "other.pth"))
        calls.stop_at = None
        calls.clear()
        assert extract(root).read_bytes() == expected
        assert calls == [2, 2, 2, 2, 1]

    def test_unreadable_image_is_named_and_can_be_restored(self, root, calls):
        expected = self.whole(root)
        broken = root / "Flicker8k_Dataset" / "5.jpg"
        data = broken.read_bytes()
        broken.write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match=rf"^{broken}: corrupt image \(.*\); restore the file$"):
            extract(root)
        broken.write_bytes(data)
        calls.clear()
        assert extract(root).read_bytes() == expected
        assert calls == [2, 2, 1]  # 0.jpg to 3.jpg were done


def test_a_finished_file_is_not_overwritten(root):
    path = root / "features_efficientnet_lite0.npz"
    path.write_bytes(b"of all images")
    with pytest.raises(UserError, match=rf"^{path}: is there already; move it away to extract"):
        extract(root)
    assert path.read_bytes() == b"of all images"


def test_folder_without_images(tmp_path):
    (tmp_path / "Images").mkdir()
    with pytest.raises(UserError, match=r"Images: holds no \.jpg, .* files; unpack the images"):
        extract(tmp_path)


class TestCommand:
    def test_writes_the_file(self, dsd, root):
        done = dsd(
            *("features", "flickr8k", "--network", "efficientnet_lite0", "--device", "cpu"),
            FLICKR8K=str(root),
        )
        assert done.stdout == f"{root}/features_efficientnet_lite0.npz\n", done.stderr
        assert np.load(root / "features_efficientnet_lite0.npz")["feats"].shape == (9, 1280)

    @pytest.mark.parametrize(
        ("corpus", "folder", "message"),
        [
            ("flickr8k", "", r"FLICKR8K is not set: dsd features needs the flickr8k .*\.\nLayout"),
            ("flickr8k", "/no/folder", "FLICKR8K is /no/folder, where no folder is: dsd features"),
            (
                "imagenet",
                "",
                "imagenet: has no captions, its images need no features",
            ),
        ],
    )
    def test_folder_is_told(self, monkeypatch, corpus, folder, message):
        monkeypatch.setenv("FLICKR8K", folder)
        with pytest.raises(UserError, match=f"^{message}"):
            commands.features(corpus)

    def test_every_other_command_imports_no_network(self):
        program = "import recipes.flickr8k.commands, sys; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        imported = set(done.stdout.split())
        assert "typer" in imported, done.stderr
        assert not imported & {"torchvision", "data", "models", "recipes.image_features"}
