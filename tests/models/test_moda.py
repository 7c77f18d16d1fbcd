from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import UsageError
from jack_stream.models.layers import set_weights
from jack_stream.models.moda import (
    DuplexAttention,
    DuplexDecoder,
    DuplexDecoderLayer,
    rotary_tables,
)
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, WHOLE_NETWORK, Golden, assert_close, uniform

pytestmark = pytest.mark.jittor
jt = jittor()


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared, "moda")


def attention(golden: Golden, **options: Any) -> Any:
    made = DuplexAttention(64, 4, 2, 16, **options)
    made.eval()
    set_weights(made, golden.weights())
    return made


def entries(golden: Golden, key: str) -> dict[str, np.ndarray]:
    return {
        entry["name"]: uniform(
            entry["name"], tuple(entry["shape"]), entry["fill"]["lo"], entry["fill"]["hi"]
        )
        for entry in golden.state[key]
    }


def layer() -> Any:
    return DuplexDecoderLayer(64, 160, DuplexAttention(64, 4, 2, 16))


def flags(golden: Golden) -> dict[str, np.ndarray]:
    return {"visual": golden.outputs["vflag"], "text": golden.outputs["tflag"]}


def test_rotary_tables(golden: Golden) -> None:
    cos, sin = rotary_tables(12, 16)
    np.testing.assert_allclose(cos, golden.outputs["rope_cos"], atol=1e-6)
    np.testing.assert_allclose(sin, golden.outputs["rope_sin"], atol=1e-6)


@pytest.mark.parametrize(
    ("suffix", "options", "with_flags"),
    [("", {}, True), ("_noflags", {}, False), ("_full", {"causal": False}, True)],
)
def test_attention_meets_the_released_code(
    golden: Golden, suffix: str, options: dict[str, Any], with_flags: bool
) -> None:
    marked = flags(golden) if with_flags else {}
    out, weights = attention(golden)(jt.array(golden.outputs["x"]), **marked, **options)
    assert_close(out.numpy(), golden.outputs[f"attn_out{suffix}"], HEAD)
    assert_close(weights.numpy(), golden.outputs[f"attn_weights{suffix}"], HEAD)


def test_a_ratio_of_zero_leaves_a_linear_map_of_visual_keys(golden: Golden) -> None:
    made = attention(golden)
    made.ratio_v.assign(jt.zeros((1, 1, 16)))
    out, _ = made(jt.array(golden.outputs["x"]), **flags(golden))
    assert_close(out.numpy(), golden.outputs["attn_out_ratio0"], HEAD)


def test_decoder_layer_and_model_meet_the_released_code(golden: Golden) -> None:
    x, outputs = jt.array(golden.outputs["x"]), golden.outputs
    one = layer()
    one.eval()
    set_weights(one, entries(golden, "layer_entries"))
    assert_close(one(x, **flags(golden)).numpy(), outputs["layer_out"], HEAD)
    model = DuplexDecoder([layer(), layer()], 64)
    model.eval()
    set_weights(model, entries(golden, "model_entries"), allow_unexpected=["embed_tokens.weight"])
    masks = flags(golden) | {"present": outputs["pad_mask"]}
    assert_close(model.layers[0](x, **masks).numpy(), outputs["model_hidden1"], WHOLE_NETWORK)
    assert_close(model(x, **masks).numpy(), outputs["model_out"], WHOLE_NETWORK)


def test_gradients_meet_the_released_code(golden: Golden, shared: Path) -> None:
    expected = json.loads((shared / "golden" / "moda_grads.json").read_text())
    made = attention(golden)
    made.train()
    x = jt.array(golden.outputs["x"])
    x.start_grad()
    out, _ = made(x, **flags(golden))
    loss = (out * jt.array(uniform("moda/gout", (2, 12, 64), -1, 1))).sum()
    parameters = dict(made.named_parameters())
    names = [*expected]
    grads = jt.grad(loss, [x, *(parameters[name] for name in names)])
    assert_close(grads[0].numpy(), golden.outputs["grad_x"], WHOLE_NETWORK)
    for name, grad in zip(names, grads[1:], strict=True):
        flat = grad.numpy().reshape(-1)
        wanted = expected[name]
        scale = np.abs(flat).max()
        np.testing.assert_allclose(flat[wanted["at"]], wanted["values"], atol=1e-4 * scale)
        np.testing.assert_allclose(np.linalg.norm(flat), wanted["norm"], rtol=1e-4)


def test_a_sequence_of_one_modality_is_left_alone(golden: Golden) -> None:
    """The release divides by the norm of an empty Gram matrix there."""
    x = jt.array(golden.outputs["x"])
    none, all_ = np.zeros((2, 12), bool), np.ones((2, 12), bool)
    made = attention(golden)
    plain = made(x)[0].numpy()
    assert_close(made(x, visual=none, text=all_)[0].numpy(), plain, HEAD)
    assert np.isfinite(made(x, visual=all_, text=none)[0].numpy()).all()


def test_the_papers_variant_aligns_both_and_scores_what_it_masks(golden: Golden) -> None:
    x = jt.array(golden.outputs["x"])
    made = attention(golden, variant="paper", beta=0.5)
    _, weights = made(x, **flags(golden))
    seen = weights.numpy()
    assert np.abs(np.triu(seen[0, 0], 1)).max() == 0
    # The masked places take their share of the softmax, so that rows sum to less than one.
    totals = seen.sum(-1)
    assert (totals[..., :-1] < 1).all()
    np.testing.assert_allclose(totals[..., -1], 1, atol=1e-5)
    k = made._split(made.k_proj(x), 2)
    cos, sin = (table[:, None] for table in rotary_tables(12, 16))
    half = np.concatenate([-k.numpy()[..., 8:], k.numpy()[..., :8]], -1)
    keys = k.numpy() * cos + half * sin
    unit = keys + 1e-6
    unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
    expected = keys.copy()
    for b, h in np.ndindex(2, 2):
        for own, other, side in (("visual", "text", "v"), ("text", "visual", "t")):
            mine, theirs = flags(golden)[own][b], flags(golden)[other][b]
            gram = unit[b, h, theirs].T @ unit[b, h, theirs]
            gram /= np.linalg.norm(gram, axis=-1, keepdims=True)
            ratio = getattr(made, f"ratio_{side}").numpy()[0, 0]
            fused = keys[b, h, mine] + ratio * (unit[b, h, mine] @ gram)
            expected[b, h, mine] = fused @ getattr(made, f"pfuser_{side}").weight.numpy().T
    marks = flags(golden)
    aligned = made._aligned(jt.array(keys), None, marks["visual"], marks["text"]).numpy()
    assert_close(aligned, expected, HEAD)


def test_impossible_heads_are_refused() -> None:
    with pytest.raises(UsageError, match="4 heads on 3"):
        DuplexAttention(64, 4, 3, 16)
