from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import ModelInputError, UsageError
from jack_stream.features.subtitles import parse_srt, segment_texts
from jack_stream.features.wordpiece import ByteTokenizer, batch
from jack_stream.models.bert import Bert
from jack_stream.models.layers import set_weights
from jack_stream.models.mart import BottleneckTransformer
from jack_stream.models.mart_contrast import ComplementaryLearning, PredictiveContrast
from jack_stream.models.mart_pretraining import (
    MARTPretraining,
    drawn_mask,
    highest_tokens,
    tubelet_targets,
)
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, WHOLE_NETWORK, Golden, assert_close, integers, uniform

pytestmark = pytest.mark.jittor
jt = jittor()


@pytest.fixture(scope="module")
def blocks(shared: Path) -> Any:
    return np.load(shared / "golden" / "mart_blocks.npz")


def test_predictive_contrast(shared: Path, blocks: Any) -> None:
    contrast = PredictiveContrast(24, 24)
    contrast.eval()
    set_weights(contrast, Golden(shared, "mart_blocks.cpc", outputs="mart_blocks").weights())
    x, y = (jt.array(uniform(f"mart/cpc_{n}", (2, 6, 24), -1, 1)) for n in "xy")
    assert_close(contrast.predict(y).numpy(), blocks["cpc_pred"], HEAD)
    assert_close(contrast(x, y).numpy().reshape(()), blocks["cpc"], HEAD)


@pytest.mark.parametrize(("variant", "sign"), [("released", 1), ("paper", -1)])
def test_complementary_learning(shared: Path, blocks: Any, variant: Any, sign: int) -> None:
    tacl = ComplementaryLearning(768, 8, variant)
    tacl.eval()
    set_weights(tacl, Golden(shared, "mart_blocks.tacl", outputs="mart_blocks").weights())
    visual, audio, words = (
        jt.array(uniform(f"tacl/{name}", (4, length, 768), -1.7, 1.7))
        for name, length in (("fv", 10), ("fa", 6), ("fl", 5))
    )
    out = tacl(visual, audio, words, segments=2)
    assert_close(out.contrast.numpy().reshape(()), sign * blocks["tacl_loss"], HEAD)
    assert_close(out.visual_attention.numpy(), blocks["tacl_Vatt"], HEAD)
    assert_close(out.audio_attention.numpy(), blocks["tacl_Aatt"], HEAD)
    assert_close(out.logits_visual.numpy(), blocks["tacl_v_c"], HEAD)
    assert_close(out.logits_audio.numpy(), blocks["tacl_a_c"], HEAD)


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5])
def test_which_tokens_are_masked(blocks: Any, ratio: float) -> None:
    high, low = (highest_tokens(blocks["att"], ratio, lowest=low) for low in (False, True))
    np.testing.assert_array_equal(high, blocks[f"attmask_high_{ratio}"])
    np.testing.assert_array_equal(low, blocks[f"attmask_low_{ratio}"])


def test_the_whole_pretraining_network(shared: Path) -> None:
    golden = Golden(shared, "mart")
    encoder = BottleneckTransformer(8, width=768, depth=12, heads=12, fusion_from=8, n_shared=32)
    network = MARTPretraining(encoder, Bert())
    network.eval()
    unused = ["vit.*head*", "vit.?_s_fc.*"]
    set_weights(network, golden.weights(), allow_unexpected=unused)
    expected = golden.outputs
    with jt.no_grad():
        out = network(
            jt.array(golden.input("visual")),
            jt.array(golden.input("audio")),
            jt.array(integers("mart/text_ids", (2, 11), 30000)),
            expected["mask"],
        )
        words = network.lan_model.bert(jt.array(expected["text_ids"])).numpy()
    assert_close(words[..., ::16], expected["fl_w"], WHOLE_NETWORK)
    assert_close(out["attention"].numpy(), expected["attention"], WHOLE_NETWORK)
    assert_close(out["words_logits_visual"].numpy(), expected["v_c"], WHOLE_NETWORK)
    assert_close(out["words_logits_audio"].numpy(), expected["a_c"], WHOLE_NETWORK)
    assert_close(out["contrast"].numpy().reshape(()), expected["loss_comp"], WHOLE_NETWORK)
    assert_close(out["recovery"].numpy().reshape(()), expected["loss_recv"], WHOLE_NETWORK)
    targets = tubelet_targets(golden.input("visual")[0])
    assert_close(targets[:, ::28, ::32], expected["target_recon_slice"], HEAD)
    # Both losses are sums of cross entropies here: no predicted polarity differs from the target's.
    for prefix, loss in (("", "loss_cls"), ("words_", "loss_cls_c")):
        total = sum(
            cross_entropy(out[f"{prefix}logits_{stream}"].numpy()[0], 3)
            for stream in ("audio", "visual")
        )
        assert_close(np.array([total]), expected[loss], WHOLE_NETWORK)


def cross_entropy(logits: np.ndarray, label: int) -> float:
    return float(np.log(np.exp(logits - logits[label]).sum()))


def small() -> Any:
    sizes = {"width": 64, "depth": 2, "heads": 4, "fusion_from": 1, "n_shared": 3}
    encoder = BottleneckTransformer(8, **sizes)
    bert = Bert(100, width=64, depth=1, heads=4, positions=8)
    network = MARTPretraining(encoder, bert, width=64, decoder_width=64, decoder_depth=1)
    network.eval()
    return network


def test_only_hidden_tokens_count_and_are_hidden() -> None:
    network = small()
    network.Vmask_token.assign(jt.ones((1, 1, 64)))
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(1, 392, 64)).astype(np.float32)
    mask = np.zeros((1, 392), bool)
    mask[0, 5] = True
    other = patches.copy()
    other[0, 5] += 1
    with jt.no_grad():
        first, second = (network.decode(jt.array(p), mask).numpy() for p in (patches, other))
        clips = jt.array(rng.uniform(0, 255, (1, 3, 16, 112, 112)).astype(np.float32))
        targets = tubelet_targets(clips.numpy())
        restored = jt.array(targets + np.where(mask[..., None], 0.5, 7.0).astype(np.float32))
        loss = network.recovery(restored, clips, mask).numpy()
        none = network.recovery(restored, clips, np.zeros_like(mask)).numpy()
    np.testing.assert_allclose(second, first, atol=1e-5)
    np.testing.assert_allclose(loss, 0.25, rtol=1e-4)
    assert none == 0


def test_batches_of_videos_are_refused() -> None:
    with pytest.raises(ModelInputError, match="one video at a time"):
        small()(jt.zeros((2, 1, 3, 16, 112, 112)), jt.zeros((2, 100, 128)), jt.zeros((2, 3)), None)


def test_padded_words_change_nothing() -> None:
    bert = Bert(100, width=64, depth=2, heads=4, positions=8)
    bert.eval()
    ids = np.array([[5, 6, 7, 0, 0]], np.int32)
    present = jt.array((ids > 0).astype(np.float32))
    with jt.no_grad():
        padded = bert(jt.array(ids), present).numpy()[:, :3]
        alone = bert(jt.array(ids[:, :3])).numpy()
    assert_close(padded, alone, HEAD)


def test_texts_that_are_too_long_are_refused() -> None:
    with pytest.raises(UsageError, match="9 word pieces, at most 8"):
        Bert(100, width=64, depth=1, heads=4, positions=8)(jt.zeros((1, 9)))
    with pytest.raises(UsageError, match="multiple of heads"):
        Bert(100, width=65, heads=4)


def test_golden_mask_follows_from_the_golden_attention(shared: Path) -> None:
    """The stored mask was drawn; the rule's part of it is the 30 % with the highest attention."""
    outputs = Golden(shared, "mart").outputs
    ratio = json.loads((shared / "golden" / "mart.state.json").read_text())["inputs"]["mask_ratio"]
    highest = highest_tokens(outputs["attention"], ratio)
    assert (outputs["mask"] <= highest).all()
    revealed = highest & ~outputs["mask"]
    np.testing.assert_array_equal(revealed.sum(1), int(0.1 * ratio * 392))
    assert (revealed <= highest_tokens(outputs["attention"], 0.1)).all()


def test_drawn_masks_follow_the_rule() -> None:
    rng = np.random.default_rng(3)
    attention = rng.random((200, 392)).astype(np.float32)
    mask = drawn_mask(attention, 0.3, rng)
    masked = mask.any(1)
    assert 60 < masked.sum() < 140
    np.testing.assert_array_equal(mask.sum(1), np.where(masked, 117 - 11, 0))
    revealed = (highest_tokens(attention, 0.3) & ~mask)[masked]
    assert (revealed <= highest_tokens(attention, 0.1)[masked]).all()
    assert len(np.unique(revealed, axis=0)) == len(revealed)


def test_the_text_branch_needs_no_download() -> None:
    subtitles = parse_srt("1\n00:00:00,000 --> 00:00:01,500\nWhat a day!\n")
    tokenizer = ByteTokenizer()
    ids, present = batch(tokenizer, segment_texts(subtitles, segments=2, total_ms=4000))
    bert = Bert(tokenizer.size, width=64, depth=2, heads=4, positions=32)
    bert.eval()
    with jt.no_grad():
        words = bert(jt.array(ids), jt.array(present)).numpy()
    assert words.shape == (2, len(" What a day!") + 2, 64)
    assert np.isfinite(words).all()
    assert np.abs(words[0, 1] - words[1, 1]).max() > 1e-3


def _video(rng: np.random.Generator, segments: int = 2) -> tuple[Any, Any]:
    visual = rng.uniform(0, 255, (1, segments, 3, 16, 112, 112)).astype(np.float32)
    audio = rng.normal(size=(1, 100 * segments, 128)).astype(np.float32)
    return jt.array(visual), jt.array(audio)


def test_padding_is_no_word() -> None:
    network, rng = small(), np.random.default_rng(0)
    visual, audio = _video(rng)
    words = rng.integers(1, 100, (2, 3)).astype(np.int32)
    padded = np.concatenate([words, np.zeros((2, 4), np.int32)], 1)
    present = (padded > 0).astype(np.float32)
    mask = np.zeros((2, 392), bool)
    with jt.no_grad():
        first = network(visual, audio, jt.array(words), mask)
        second = network(visual, audio, jt.array(padded), mask, present)
    for name in ("attention", "words_logits_audio", "words_logits_visual", "words_audio", "words"):
        assert_close(second[name].numpy(), first[name].numpy(), HEAD, name)


def test_a_mask_may_follow_from_the_attention_of_the_same_look() -> None:
    """What was computed for the mask's sake still has its gradient."""
    network, rng = small(), np.random.default_rng(1)
    network.train()
    visual, audio = _video(rng)
    words = jt.array(rng.integers(1, 100, (2, 3)).astype(np.int32))
    masks: list[Any] = []

    def rule(attention: Any) -> Any:
        masks.append(highest_tokens(attention, 0.3))
        return masks[0]

    parameters = [network.Vmask_token, network.vit.bottleneck, network.vit.v_fc.weight]
    found = []
    for mask in (rule, None):
        out = network(visual, audio, words, masks[0] if mask is None else mask)
        loss = out["recovery"] + out["logits_visual"].sum() + out["temporal"].sum()
        found.append([g.numpy() for g in jt.grad(loss, parameters)])
    assert masks[0].sum() == 2 * 117
    for gradients in found[1:]:
        for one, other in zip(gradients, found[0], strict=True):
            assert np.abs(other).max() > 0
            assert_close(one, other, HEAD)
