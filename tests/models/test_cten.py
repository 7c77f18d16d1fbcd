from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import UsageError
from jack_stream.models import Model, create
from jack_stream.models.attention import MultiHeadAttention, NonLocalBlock
from jack_stream.models.cten import CTEN
from jack_stream.models.layers import set_weights
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, WHOLE_NETWORK, Golden, assert_close, coarse_plane, uniform
from tests.models.gradients import assert_gradients
from trainers.losses.cross_entropy import cross_entropy

pytestmark = pytest.mark.jittor
jt = jittor()


def test_the_non_local_block_is_the_authors(shared: Path) -> None:
    golden = Golden(shared, "blocks_cten.nonlocal", outputs="blocks_cten")
    block = NonLocalBlock()
    set_weights(block, golden.weights())
    block.eval()
    with jt.no_grad():
        actual = block(jt.array(golden.input("x"))).numpy()
    assert_close(actual, golden.outputs["nonlocal_out"], HEAD)


@pytest.mark.parametrize("masked", [False, True])
def test_multi_head_attention_is_the_authors(masked: bool, shared: Path) -> None:
    golden = Golden(shared, "blocks_cten.mha", outputs="blocks_cten")
    block = MultiHeadAttention(64, 8)
    set_weights(block, golden.weights())
    block.eval()
    q = uniform("mha/q", (3, 5, 64), -1.7, 1.7)
    k, v = (uniform(f"mha/{name}", (3, 9, 64), -1.7, 1.7) for name in "kv")
    mask = uniform("mha/mask", (3, 5, 9)) > 0.3 if masked else None
    with jt.no_grad():
        out, attention = block(jt.array(q), jt.array(k), jt.array(v), mask)
    suffix = "_masked" if masked else ""
    assert_close(out.numpy(), golden.outputs[f"mha_out{suffix}"], HEAD)
    assert_close(attention.numpy(), golden.outputs[f"mha_attn{suffix}"], HEAD)


def test_features_are_divided_evenly_among_heads() -> None:
    with pytest.raises(UsageError, match="64 features can't be divided among 7 heads"):
        MultiHeadAttention(64, 7)


def _head(shared: Path) -> tuple[CTEN, Golden]:
    golden = Golden(shared, "cten_head")
    module = CTEN(seq_len=5)
    set_weights(module, golden.weights(), allow_missing=["resnet.*"])
    module.drop.p = 0.0
    return module, golden


def _run_head(module: CTEN) -> dict:
    shape = (15, 2048, 1, 1, 1)
    snippet = uniform("cten_head/feature", shape, 0, 3) * (uniform("cten_head/mask", shape) > 0.5)
    audio = coarse_plane("cten_head/audio", (3, 500, 128), (25, 16), -1.5, 1.5)
    piece = module.encode_audio(jt.array(audio.reshape(15, 100, 128)))["piece"]
    return module.head(jt.array(snippet.reshape(3, 5, 2048)), piece.reshape(3, 5, 2048))


def test_the_head_is_the_authors(shared: Path) -> None:
    module, golden = _head(shared)
    module.eval()
    with jt.no_grad():
        outputs = _run_head(module)
    for name in ("logits", "gamma", "v2a_map", "a2v_map"):
        assert_close(outputs[name].numpy(), golden.outputs[f"eval_{name}"], HEAD, name)


def test_a_training_step_of_the_head_is_the_authors(shared: Path) -> None:
    module, golden = _head(shared)
    module.train()
    outputs = _run_head(module)
    loss = cross_entropy(outputs["logits"], jt.array([1, 6, 3])).mean()
    for name in ("logits", "gamma", "v2a_map", "a2v_map"):
        assert_close(outputs[name].numpy(), golden.outputs[f"train_{name}"], HEAD, name)
    assert_close(loss.numpy().reshape(()), golden.outputs["train_loss"], HEAD)
    assert_gradients(module, loss, golden.json()["grads"])


@pytest.fixture(scope="module")
def small(shared: Path) -> Model:
    model = create("cten", seq_len=4)
    model.set_weights(Golden(shared, "cten_small").weights())
    return model


def test_the_network_is_the_authors(small: Model, shared: Path) -> None:
    golden = Golden(shared, "cten_small")
    outputs = small.infer({"visual": golden.input("visual"), "audio": golden.input("audio")})
    for name in ("logits", "gamma", "fused"):
        assert_close(outputs[name], golden.outputs[name], WHOLE_NETWORK, name)


def test_the_full_window_is_the_authors(shared: Path) -> None:
    golden = Golden(shared, "cten")
    model = create("cten")
    model.set_weights(golden.weights())
    outputs = model.infer({"visual": golden.input("visual"), "audio": golden.input("audio")})
    for name in ("logits", "gamma", "fused"):
        assert_close(outputs[name], golden.outputs[name], WHOLE_NETWORK, name)
    features = model.encode("visual", golden.input("visual")[0])
    assert_close(features["snippet"], golden.outputs["backbone_feature"], WHOLE_NETWORK)


@pytest.fixture(scope="module")
def pool(small: Model) -> dict[str, np.ndarray]:
    """Items of a stream, each encoded once and alone."""
    rng = np.random.default_rng(9)
    visual = rng.integers(0, 256, (6, 3, 16, 112, 112)).astype(np.float32)
    audio = rng.standard_normal((6, 100, 128)).astype(np.float32)
    snippet = [small.encode("visual", item[None])["snippet"][0] for item in visual]
    piece = [small.encode("audio", item[None])["piece"][0] for item in audio]
    return {
        "visual": visual,
        "audio": audio,
        "snippet": np.stack(snippet),
        "piece": np.stack(piece),
    }


@settings(max_examples=5, deadline=None)
@given(*[st.lists(st.integers(0, 5), min_size=4, max_size=4)] * 2)
def test_cached_features_give_what_the_whole_window_gives(
    small: Model, pool: Mapping[str, np.ndarray], snippets: list[int], pieces: list[int]
) -> None:
    cached = small.head(
        {"snippet": pool["snippet"][snippets][None], "piece": pool["piece"][pieces][None]}
    )
    whole = small.infer(
        {
            "visual": pool["visual"][snippets][None],
            "audio": pool["audio"][pieces].reshape(1, 400, 128),
        }
    )
    assert cached.keys() == whole.keys()
    for name in whole:
        assert_close(cached[name], whole[name], HEAD, name)


def test_training_leaves_the_backbone_alone(small: Model) -> None:
    module = small.module
    module.train()
    trained = [k for k, v in module.state_dict().items() if v.requires_grad]
    assert not module.resnet.is_train
    assert not [k for k in trained if k.startswith("resnet.")]
    assert {"nl.0.alpha", "a_resnet.0.weight", "fc.bias"} <= set(trained)
    module.eval()


def test_the_papers_variant_adds_to_the_one_that_asked() -> None:
    module = CTEN(seq_len=3, n_classes=6, variant="paper")
    module.eval()
    rng = np.random.default_rng(2)
    snippet, piece = (rng.random((2, 3, 2048)).astype(np.float32) for _ in range(2))
    # An attention of zero makes the fused vector zero: let every segment count alike.
    for scores in (module.ta_net, module.ta_net_a):
        scores.fc.weight.assign(jt.zeros((3, 3)))
    with jt.no_grad():
        v, a = jt.array(snippet), jt.array(piece)
        outputs = module.head(v, a)
        seen, heard = module.nl(v), module.nl_a(a)
        wanted = jt.concat(
            [
                (seen + module.a2v_attn(seen, heard, heard)[0]).mean(1),
                (heard + module.v2a_attn(heard, seen, seen)[0]).mean(1),
            ],
            1,
        )
    assert outputs["gamma_audio"].shape == [2, 3]
    assert_close(outputs["fused"].numpy(), wanted.numpy(), HEAD)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 5))
def test_blocks_of_other_seeds_and_sizes(seed: int, batch: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    block, attention = NonLocalBlock(32, 8), MultiHeadAttention(32, 4)
    for module in (block, attention):
        set_weights(
            module,
            {
                name: (0.1 + 0.3 * rng.random(value.shape)).astype(np.float32)
                for name, value in module.state_dict().items()
            },
        )
        module.eval()
    x, y = (rng.standard_normal((batch, length, 32)).astype(np.float32) for _ in range(2))
    with jt.no_grad():
        seen = block(jt.array(x)).numpy()
        out, weights = (v.numpy() for v in attention(jt.array(x), jt.array(y), jt.array(y)))
    assert_close(seen, _non_local(_float64(block), x.astype(np.float64)), HEAD)
    expected, expected_weights = _attention(_float64(attention), x, y)
    assert_close(out, expected, HEAD)
    assert_close(weights, expected_weights, HEAD)


def _float64(module: NonLocalBlock | MultiHeadAttention) -> dict[str, np.ndarray]:
    return {name: value.numpy().astype(np.float64) for name, value in module.state_dict().items()}


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _linear(w: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _non_local(w: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """(1)-(4) of the paper with the release's normalisation, in float64."""
    theta, phi, g = (_linear(w, name, x) for name in ("theta", "phi", "g"))
    out = _linear(w, "out", _softmax(theta @ phi.swapaxes(1, 2) / np.sqrt(8)) @ g)
    scale = w["bn.weight"] / np.sqrt(w["bn.running_var"] + 1e-5)
    return (out - w["bn.running_mean"]) * scale + w["bn.bias"] + w["alpha"] * x


def _attention(
    w: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Four heads of eight features, one at a time, in float64."""
    q, k, v = (
        np.maximum(_linear(w, f"linear_{n}", z.astype(np.float64)), 0)
        for n, z in (("q", x), ("k", y), ("v", y))
    )
    heads = [slice(8 * h, 8 * h + 8) for h in range(4)]
    weights = [_softmax(q[..., h] @ k[..., h].swapaxes(1, 2) / np.sqrt(8)) for h in heads]
    mixed = [weight @ v[..., h] for weight, h in zip(weights, heads, strict=True)]
    out = np.maximum(_linear(w, "linear_o", np.concatenate(mixed, -1)), 0)
    return out, np.stack(weights, 1).reshape(-1, *weights[0].shape[1:])
