from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.models import Model, create
from jack_stream.models.layers import get_weights, set_weights
from jack_stream.models.vaanet import VAANet, VAANetAudio
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, WHOLE_NETWORK, Golden, assert_close, coarse_plane, uniform
from tests.models.gradients import assert_gradients
from trainers.losses.cross_entropy import cross_entropy

pytestmark = pytest.mark.jittor
jt = jittor()

OUTPUTS = ("logits", "alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def small(shared: Path) -> Model:
    model = create("vaanet", seq_len=4)
    model.set_weights(Golden(shared, "vaanet_small").weights())
    return model


def _head(shared: Path) -> tuple[VAANet, Golden]:
    golden = Golden(shared, "vaanet_head")
    module = VAANet(seq_len=5)
    set_weights(module, golden.weights(), allow_missing=["resnet.*"])
    return module, golden


def _run_head(module: VAANet) -> dict:
    shape = (15, 2048, 1, 4, 4)
    maps = uniform("vaanet_head/feature", shape, 0, 3)
    maps = maps * (uniform("vaanet_head/mask", shape) > 0.6)
    maps = maps * uniform("vaanet_head/amp", (15, 2048, 1, 1, 1), 0, 2)
    by_sample = maps.reshape(5, 3, 2048, 16).swapaxes(0, 1).reshape(15, 2048, 16)
    audio = coarse_plane("vaanet_head/audio", (3, 4096, 32), (64, 4), -40, 40)
    features = {
        **module.attend(jt.array(by_sample)),
        **module.encode_audio(jt.array(audio.reshape(48, 256, 32))),
    }
    return module.head(**{k: v.reshape(3, -1, v.shape[-1]) for k, v in features.items()})


def test_the_head_is_the_authors(shared: Path) -> None:
    module, golden = _head(shared)
    module.eval()
    with jt.no_grad():
        outputs = _run_head(module)
    for name in OUTPUTS:
        assert_close(outputs[name].numpy(), golden.outputs[f"eval_{name}"], HEAD, name)


def test_a_training_step_of_the_head_is_the_authors(shared: Path) -> None:
    module, golden = _head(shared)
    module.train()
    outputs = _run_head(module)
    loss = cross_entropy(outputs["logits"], jt.array([1, 6, 3])).mean()
    for name in OUTPUTS:
        assert_close(outputs[name].numpy(), golden.outputs[f"train_{name}"], HEAD, name)
    assert_close(loss.numpy().reshape(()), golden.outputs["train_loss"], HEAD)
    norm = module.conv0[1]
    assert_close(norm.running_mean.numpy(), golden.outputs["train_bn_mean"], HEAD)
    assert_close(norm.running_var.numpy(), golden.outputs["train_bn_var"], HEAD)
    assert_gradients(module, loss, golden.json()["grads"])


def test_the_network_is_the_authors(small: Model, shared: Path) -> None:
    golden = Golden(shared, "vaanet_small")
    outputs = small.infer({"visual": golden.input("visual"), "audio": golden.input("audio")})
    for name in (*OUTPUTS, "audio_attention", "fused"):
        assert_close(outputs[name], golden.outputs[name], WHOLE_NETWORK, name)


def test_the_full_window_is_the_authors(shared: Path) -> None:
    golden = Golden(shared, "vaanet")
    model = create("vaanet", seq_len=16)
    model.set_weights(golden.weights())
    outputs = model.infer({"visual": golden.input("visual"), "audio": golden.input("audio")})
    for name in (*OUTPUTS, "audio_attention", "fused"):
        assert_close(outputs[name], golden.outputs[name], WHOLE_NETWORK, name)


@pytest.fixture(scope="module")
def pool(small: Model) -> dict[str, np.ndarray]:
    """Items of a stream, each encoded once and alone."""
    rng = np.random.default_rng(8)
    visual = rng.integers(0, 256, (6, 3, 16, 112, 112)).astype(np.float32)
    audio = (20 * rng.standard_normal((20, 256, 32))).astype(np.float32)
    features: dict[str, list[np.ndarray]] = {}
    for name, items in (("visual", visual), ("audio", audio)):
        for item in items:
            for key, value in small.encode(name, item[None]).items():
                features.setdefault(key, []).append(value[0])
    return {"visual": visual, "audio": audio, **{k: np.stack(v) for k, v in features.items()}}


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
    st.lists(st.integers(0, 19), min_size=16, max_size=16),
)
def test_cached_features_give_what_the_whole_window_gives(
    small: Model, pool: Mapping[str, np.ndarray], snippets: list[int], pieces: list[int]
) -> None:
    cached = small.head(
        {k: pool[k][snippets][None] for k in ("snippet", "alpha", "beta")}
        | {"piece": pool["piece"][pieces][None]}
    )
    whole = small.infer(
        {
            "visual": pool["visual"][snippets][None],
            "audio": pool["audio"][pieces].reshape(1, 4096, 32),
        }
    )
    assert cached.keys() == whole.keys()
    for name in whole:
        assert_close(cached[name], whole[name], HEAD, name)


def test_training_leaves_the_backbone_alone(small: Model, shared: Path) -> None:
    module = small.module
    before = {k: v.numpy() for k, v in module.resnet.state_dict().items()}
    module.train()
    golden = Golden(shared, "vaanet_small")
    one = jt.array(golden.input("visual")[:1, :1, :, :, :, :].repeat(4, 1))
    loss = module(one, jt.array(golden.input("audio")[:1]))["logits"].sum()
    trained = [k for k, v in module.state_dict().items() if v.requires_grad]
    loss.sync()
    assert not [k for k in trained if k.startswith("resnet.")]
    assert {"conv0.0.weight", "a_resnet.0.weight", "av_fc.bias"} <= set(trained)
    for name, value in module.resnet.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    module.eval()


def test_the_audio_network_hears_as_the_whole_one_does(small: Model, shared: Path) -> None:
    golden = Golden(shared, "vaanet_small")
    audio = golden.input("audio")
    shared_weights = {
        k: v for k, v in golden.weights().items() if k.startswith(("a_resnet", "a_fc", "aa_net"))
    }
    module = VAANetAudio(n_classes=3)
    set_weights(module, shared_weights, allow_missing=["fc.*"])
    module.eval()
    with jt.no_grad():
        outputs = {k: v.numpy() for k, v in module(jt.array(audio)).items()}
    assert outputs["logits"].shape == (2, 3)
    assert_close(outputs["gamma"], golden.outputs["audio_attention"], WHOLE_NETWORK)
    heard = golden.outputs["fused"][:, 512:]
    weight, bias = module.fc.weight.numpy(), module.fc.bias.numpy()
    assert_close(outputs["logits"], heard @ weight.T + bias, WHOLE_NETWORK)


def _small_audio() -> VAANetAudio:
    jt.set_global_seed(3)
    return VAANetAudio(n_classes=3, audio_n_segments=2, width=2, piece_frames=16, bands=8)


def test_a_known_voice_is_normalised_by_what_was_heard_of_it() -> None:
    module = _small_audio()
    module.eval()
    rng = np.random.default_rng(0)
    piece = rng.normal(2, 3, (2, 2, 8)).astype(np.float32)
    mean = rng.normal(2, 1, (2, 8)).astype(np.float32)
    variance = rng.uniform(1, 9, (2, 8)).astype(np.float32)

    def said(share: float, piece: np.ndarray = piece) -> np.ndarray:
        rows = {"familiarity": np.full(2, share, np.float32)}
        rows |= {"piece": piece, "voice_mean": mean, "voice_variance": variance}
        with jt.no_grad():
            return module.head(**{k: jt.array(v) for k, v in rows.items()})["logits"].numpy()

    with jt.no_grad():
        unknown = module.head(jt.array(piece))["logits"].numpy()
        plain = (piece - mean[:, None]) / np.sqrt(variance[:, None] + 1e-5)
        centred = module.head(jt.array(plain))["logits"].numpy()  # learned: mean 0, variance 1
    np.testing.assert_allclose(said(0.0), unknown, rtol=1e-5)
    np.testing.assert_allclose(said(1.0), centred, rtol=1e-4, atol=1e-5)
    assert np.abs(said(0.5) - unknown).max() > 1e-3
    assert np.abs(said(0.5) - centred).max() > 1e-3


def test_voices_that_are_trained_together_are_normalised_apart() -> None:
    module = _small_audio()
    module.train()
    rng = np.random.default_rng(0)
    sounds = rng.standard_normal((4, 32, 8)).astype(np.float32)
    both = module(jt.array(np.concatenate([sounds[:2], sounds[:2]])), 2)["logits"].numpy()
    # Of a batch of one voice the plain batch normalisation is that voice's.
    np.testing.assert_allclose(both[:2], both[2:], rtol=1e-4, atol=1e-5)
    alone = module(jt.array(sounds[:2]))["logits"].numpy()
    np.testing.assert_allclose(both[:2], alone, rtol=1e-3, atol=1e-4)
    other = module(jt.array(sounds), 2)["logits"].numpy()
    mixed = module(jt.array(sounds))["logits"].numpy()
    assert np.abs(other - mixed).max() > 1e-2


def test_running_statistics_are_of_all_voices() -> None:
    module, again = _small_audio(), _small_audio()
    set_weights(again, get_weights(module))
    module.train()
    again.train()
    sounds = jt.array(np.random.default_rng(0).standard_normal((4, 32, 8)).astype(np.float32))
    module(sounds, 2)
    apart = module.a_fc[1].running_mean.numpy()
    again(sounds)
    np.testing.assert_allclose(apart, again.a_fc[1].running_mean.numpy(), rtol=1e-4, atol=1e-6)


def test_a_pause_has_no_say_and_takes_none_from_the_others() -> None:
    module = _small_audio()
    module.eval()
    rng = np.random.default_rng(0)
    piece = rng.standard_normal((2, 2, 8)).astype(np.float32)
    sounding = np.array([[1, 0], [1, 1]], np.float32)

    def said(piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with jt.no_grad():
            outputs = module.head(jt.array(piece), sounding=jt.array(sounding))
            return outputs["logits"].numpy(), outputs["gamma"].numpy()

    logits, gamma = said(piece)
    other, other_gamma = said(np.where(sounding[..., None] > 0, piece, 9.0).astype(np.float32))
    assert gamma[0, 1] == other_gamma[0, 1] == 0
    scores = _scores_alone(module, piece[0])
    # The one that sounds counts as much as all of a window without pauses do.
    expected = np.tanh(piece[0, 0]) * scores[0] @ module.fc.weight.numpy().T
    np.testing.assert_allclose(logits[0], expected + module.fc.bias.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits[1], other[1])
    with jt.no_grad():
        whole = module.head(jt.array(piece))["logits"].numpy()
    np.testing.assert_allclose(logits[1], whole[1], rtol=1e-5)


def _scores_alone(module: VAANetAudio, piece: np.ndarray) -> np.ndarray:
    """The attention [P] of a sound's normalised pieces [P, C] (the statistics are 0 and 1)."""
    with jt.no_grad():
        normed = np.tanh(piece / np.sqrt(1 + 1e-5)).astype(np.float32)
        scores = module.aa_net(jt.array(normed.T[np.newaxis])).numpy()[0]
    return np.maximum(scores, 0)


def test_voices_in_training_are_known_by_what_sounds() -> None:
    module = _small_audio()
    module.train()
    rng = np.random.default_rng(0)
    sounds = rng.standard_normal((4, 32, 8)).astype(np.float32)
    sounding = np.array([[1, 1], [1, 0], [1, 1], [1, 0]], np.float32)
    norm = module.a_fc[1]
    first = module(jt.array(sounds), 2, jt.array(sounding))["logits"].numpy()
    with jt.no_grad():
        piece = module.encode_audio(jt.array(sounds.reshape(8, 16, 8)))["piece"].numpy()
    means = [piece[i : i + 4][sounding[i // 2 : i // 2 + 2].ravel() > 0].mean(0) for i in (0, 4)]
    np.testing.assert_allclose(
        norm.running_mean.numpy(), 0.1 * np.mean(means, 0), rtol=1e-3, atol=1e-5
    )
    assert np.isfinite(first).all()
    without = module(jt.array(sounds), 2)["logits"].numpy()
    assert np.abs(first - without).max() > 1e-3


def test_an_utterance_is_one_piece() -> None:
    model = create("vaanet-audio", n_classes=7, audio_n_segments=1)
    audio = np.zeros((3, 256, 32), np.float32)
    outputs = model.infer({"audio": audio})
    assert {k: v.shape for k, v in outputs.items()} == {"logits": (3, 7), "gamma": (3, 1)}
    pieces = model.encode("audio", audio)
    assert pieces["piece"].shape == (3, 256)
    np.testing.assert_allclose(
        model.head({"piece": pieces["piece"][:, None]})["logits"], outputs["logits"], rtol=1e-5
    )


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_attentions_of_other_seeds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    module = VAANet(seq_len=3, n_classes=6)
    weights = {
        name: (0.3 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in module.state_dict().items()
        if name.split(".")[0] in {"conv0", "sa_net", "cwa_net", "ta_net", "aa_net", "av_fc"}
    }
    weights["conv0.0.weight"] *= 0.05
    for name, value in weights.items():
        if name.endswith("running_var"):
            np.maximum(np.abs(value), 0.5, out=value)
    set_weights(module, weights, allow_missing=["resnet.*", "a_resnet.*", "a_fc.*", "fc.*"])
    module.eval()
    maps = rng.random((6, 2048, 16)).astype(np.float32)
    piece = rng.standard_normal((2, 16, 256)).astype(np.float32)
    with jt.no_grad():
        features = module.attend(jt.array(maps))
        features = {k: v.reshape(2, 3, v.shape[-1]) for k, v in features.items()}
        outputs = {k: v.numpy() for k, v in module.head(**features, piece=jt.array(piece)).items()}
    expected = _reference({k: v.astype(np.float64) for k, v in weights.items()}, maps, piece)
    for name, value in expected.items():
        assert_close(outputs[name], value, HEAD, name)


def _reference(w: Mapping[str, np.ndarray], maps: np.ndarray, piece: np.ndarray) -> dict:
    """The attentions and the fusion as their equations say, in float64, for B = 2."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:  # channels on axis 1
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + 1e-5)
        centred = x - w[f"{name}.running_mean"].reshape(shape)
        return centred * scale.reshape(shape) + w[f"{name}.bias"].reshape(shape)

    def scores(x: np.ndarray, name: str) -> np.ndarray:
        hidden = np.einsum("nci,c->ni", x, w[f"{name}.conv.0.weight"][0, :, 0])[:, None]
        hidden = np.tanh(norm(hidden, f"{name}.conv.1")[:, 0])
        return hidden @ w[f"{name}.fc.weight"].T + w.get(f"{name}.fc.bias", 0.0)

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    f = np.einsum("oc,nci->noi", w["conv0.0.weight"][:, :, 0], maps.astype(np.float64))
    f = np.maximum(norm(f + w["conv0.0.bias"][:, None], "conv0.1"), 0)
    alpha = 16 * softmax(scores(f, "sa_net"))
    f = f * alpha[:, None]
    beta = 512 * softmax(scores(f.swapaxes(1, 2), "cwa_net"))
    snippet = (f * beta[:, :, None]).mean(2).reshape(2, 3, 512)
    gamma = np.maximum(scores(snippet.swapaxes(1, 2), "ta_net"), 0)
    heard = np.maximum(scores(piece.astype(np.float64).swapaxes(1, 2), "aa_net"), 0)
    fused = np.concatenate(
        [(snippet * gamma[..., None]).mean(1), (piece * heard[..., None]).mean(1)], 1
    )
    return {
        "alpha": alpha.reshape(2, 3, 16).swapaxes(0, 1),
        "beta": beta.reshape(2, 3, 512).swapaxes(0, 1),
        "gamma": gamma,
        "audio_attention": heard,
        "logits": fused @ w["av_fc.weight"].T + w["av_fc.bias"],
    }
