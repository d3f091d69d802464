import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.models import ResNet18_Weights

from data import colours
from data.transforms import IMAGENET, Cifar, preprocessing, random_box, random_resized_crop
from dsd.errors import UserError

NAMES = ["fb_resnet", "torchvision", "caffe"]


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)


def floats(prepare, image: Image.Image, rng: np.random.Generator | None = None) -> np.ndarray:
    """What the network gets of an image, (3, crop, crop) float32; in training with rng."""
    pixels, drawn = np.array(image), None
    if rng:
        cut, drawn = prepare.train(pixels, rng)
    else:
        cut = prepare.evaluate(pixels)
    assert cut.shape == (prepare.crop, prepare.crop, 3)
    assert cut.dtype == np.uint8
    batch = torch.from_numpy(cut.copy()).permute(2, 0, 1)[None]
    return prepare.colours(batch, None if drawn is None else torch.from_numpy(drawn)[None])[
        0
    ].numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(80, 60), (50, 90), (400, 300)])
def test_shapes_types_and_repeatability(name, size):
    prepare = preprocessing(name, crop=48, resize=64)
    image = noise(*size)
    for _ in range(2):
        out = floats(prepare, image)
        assert out.shape == (3, 48, 48)
        assert out.dtype == np.float32
        assert np.array_equal(out, floats(prepare, image))
    draws = (np.random.default_rng(seed) for seed in (1, 1, 2))
    first, second, other = (floats(prepare, image, rng) for rng in draws)
    assert first.shape == (3, 48, 48)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("size", [(320, 240), (200, 333), (256, 256)])
def test_torchvision_evaluation_equals_torchvisions_own(size):
    image = noise(*size)
    own = ResNet18_Weights.IMAGENET1K_V1.transforms()(image)
    ours = torch.from_numpy(floats(preprocessing("torchvision"), image))
    assert torch.allclose(ours, own, atol=1e-5)


def test_fb_resnet_evaluation_is_the_bicubic_centre():
    image = noise(320, 240)
    short = TF.resize(image, [256], TF.InterpolationMode.BICUBIC)
    pixels = TF.to_dtype(TF.to_image(TF.center_crop(short, [224])), scale=True)
    own = TF.normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ours = torch.from_numpy(floats(preprocessing("fb_resnet"), image))
    assert torch.allclose(ours, own, atol=1e-5)


def test_caffe_is_bgr_less_the_mean():
    image = Image.new("RGB", (300, 200), (10, 20, 30))
    out = floats(preprocessing("caffe"), image)
    assert out.shape == (3, 224, 224)
    assert out[:, 0, 0].tolist() == [30 - 104, 20 - 117, 10 - 123]
    assert np.ptp(out, axis=(1, 2)).tolist() == [0, 0, 0]


def test_caffe_squashes_and_crops_227_in_the_middle():
    image = noise(300, 200)
    squashed = np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR), dtype=np.float32)
    middle = squashed[14 : 14 + 227, 14 : 14 + 227, ::-1] - np.float32([104, 117, 123])
    ours = floats(preprocessing("caffe", crop=227), image)
    assert np.array_equal(ours, middle.transpose(2, 0, 1))


def test_caffe_training_is_a_crop_of_the_squashed_image_or_its_mirror():
    image = noise(20, 30)
    prepare = preprocessing("caffe", crop=5, resize=8)
    squashed = np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR), dtype=np.float32)
    whole = (squashed[:, :, ::-1] - np.float32([104, 117, 123])).transpose(2, 0, 1)
    possible = {
        crop[:, :, ::step].tobytes()
        for top in range(4)
        for left in range(4)
        for crop in [whole[:, top : top + 5, left : left + 5]]
        for step in (1, -1)
    }
    seen = {floats(prepare, image, np.random.default_rng(seed)).tobytes() for seed in range(400)}
    assert len(seen) == len(seen & possible) == len(possible) == 32


def jitter_of_pixels(pixels: np.ndarray, rng, strength: float) -> np.ndarray:
    """fb.resnet.torch's ColorJitter as it is written: image after image, of (3, H, W) 0..1."""
    luma = np.array([0.299, 0.587, 0.114])
    for kind in rng.permutation(3):
        weight = 1 + rng.uniform(-strength, strength)
        grey = np.tensordot(luma, pixels, 1)
        other = (0.0, grey.mean(), grey)[kind]
        pixels = weight * pixels + (1 - weight) * other
    return pixels


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1))
def test_jitter_as_one_matrix_is_the_blends_in_turn(seed, strength):
    pixels = np.random.default_rng(seed).random((3, 6, 5))
    expected = jitter_of_pixels(pixels, np.random.default_rng(seed), strength)
    matrix, of_mean = colours.jitter(np.random.default_rng(seed), strength)
    shift = of_mean @ pixels.mean((1, 2))
    assert np.allclose(np.tensordot(matrix, pixels, 1) + shift[:, None, None], expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_networks_input_is_jitter_lighting_and_normalisation_in_turn(layout):
    images = torch.randint(0, 256, (4, 3, 9, 7), dtype=torch.uint8).to(memory_format=layout)
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    drawn = np.stack([IMAGENET.draw(np.random.default_rng(i)) for i in range(len(pixels))])
    found = IMAGENET(images, torch.from_numpy(drawn))
    assert found.is_contiguous(memory_format=layout)
    for i, one in enumerate(pixels):
        rng = np.random.default_rng(i)
        unit = jitter_of_pixels(one.transpose(2, 0, 1) / 255, rng, 0.4)
        unit = unit + colours.lighting(rng, 0.1)[:, None, None]
        mean, std = (np.array(x)[:, None, None] for x in (IMAGENET.mean, IMAGENET.std))
        assert np.abs(found[i].numpy() - (255 * unit - mean) / std).max() < 1e-5
    plain = (pixels - np.array(IMAGENET.mean)) / np.array(IMAGENET.std)
    assert np.abs(IMAGENET(images).permute(0, 2, 3, 1).numpy() - plain).max() < 1e-6


def test_jitter_keeps_its_bounds_and_lighting_its_directions():
    grey = np.full(3, 0.5)
    for seed in range(50):
        matrix, of_mean = colours.jitter(np.random.default_rng(seed), 0.4)
        out = (matrix + of_mean) @ grey  # on one grey tone only brightness acts
        assert np.ptp(out) < 1e-9
        assert 0.5 * 0.6 <= out[0] <= 0.5 * 1.4
    shifts = np.stack([colours.lighting(np.random.default_rng(i), 0.1) for i in range(4000)])
    vectors, values = colours.PCA_VECTORS, colours.PCA_VALUES
    expected = vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    assert np.allclose(np.cov(shifts.T), expected, atol=0.05 * expected.max())


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(500, 375), (90, 120), (1200, 800)])
def test_a_box_is_scaled_as_pillow_scales_it(mode, size):
    image = noise(30, 20).resize(size, Image.Resampling.BICUBIC)
    for seed in range(5):
        box = random_box(size, np.random.default_rng(seed))
        expected = image.crop(box).resize((64, 64), Image.Resampling[mode.upper()])
        found = random_resized_crop(np.array(image), 64, np.random.default_rng(seed), mode)
        apart = np.abs(found.astype(int) - np.asarray(expected))
        assert apart.max() <= 2
        assert apart.mean() < 0.25


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**32))
def test_random_box_lies_inside_and_has_the_stated_area(width, height, seed):
    box = random_box((width, height), np.random.default_rng(seed))
    if box is None:
        return
    left, top, right, bottom = box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    if min(width, height) > 100:
        area = (right - left) * (bottom - top) / (width * height)
        aspect = (right - left) / (bottom - top)
        assert 0.07 < area <= 1
        assert 0.7 < aspect < 1.4


def test_random_box_uses_both_orientations_and_all_areas():
    boxes = [random_box((500, 500), np.random.default_rng(seed)) for seed in range(500)]
    sides = np.array([(box[2] - box[0], box[3] - box[1]) for box in boxes if box])
    areas = sides.prod(1) / 250_000
    wide = (sides[:, 0] > sides[:, 1]).mean()
    assert areas.min() < 0.12
    assert areas.max() > 0.9
    assert 0.4 < wide < 0.6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.booleans())
def test_cifar_crop_is_a_crop_of_the_padded_image(top, left, mirror):
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    cifar = Cifar()
    draws = torch.tensor([[top, left, int(mirror)], [4, 4, 0]])
    out = cifar.colours(pixels, draws)
    mean, std = torch.tensor([[125.3, 123.0, 113.9], [63.0, 62.1, 66.7]])[..., None, None]
    normal = (pixels.float() - mean) / std
    assert torch.allclose(out[1], normal[1], atol=1e-6)
    padded = torch.nn.functional.pad(normal[0], (4, 4, 4, 4))
    expected = padded[:, top : top + 32, left : left + 32]
    assert torch.allclose(out[0], expected.flip(2) if mirror else expected, atol=1e-6)
    assert torch.allclose(cifar.colours(pixels), normal, atol=1e-6)


def test_cifar_draws_cover_all_corners_and_both_mirrors():
    draws = Cifar().draws(5000, torch.Generator().manual_seed(0))
    assert draws[:, :2].unique(dim=0).tolist() == [[y, x] for y in range(9) for x in range(9)]
    assert 0.45 < draws[:, 2].float().mean() < 0.55


def test_wrong_names_and_sizes():
    with pytest.raises(UserError, match="known: fb_resnet, torchvision, caffe, cifar"):
        preprocessing("resnet")
    with pytest.raises(UserError, match="crop 227 is larger than resize 200"):
        preprocessing("caffe", crop=227, resize=200)
    with pytest.raises(UserError, match="no crop"):
        preprocessing("cifar", crop=24)
