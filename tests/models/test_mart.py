from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import ModelInputError, UsageError
from jack_stream.models import create, untrained
from jack_stream.models.layers import set_weights
from jack_stream.models.layers.paths import plain_only
from jack_stream.models.mart import MART
from jack_stream.runtime import jittor
from tests.models.golden import WHOLE_NETWORK, Golden, assert_close, assert_tap

pytestmark = pytest.mark.jittor
jt = jittor()

# Entries of the authors' network that take no part in its output.
UNUSED = ["vit.*head*", "vit.?_s_fc.*"]
SMALL = {"n_classes": 6, "width": 48, "depth": 3, "heads": 4, "fusion_from": 1, "n_shared": 5}


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared, "mart")


@pytest.fixture(scope="module")
def model(golden: Golden) -> Any:
    network = MART()
    network.eval()
    weights = {name: v for name, v in golden.weights().items() if name.startswith("vit.")}
    set_weights(network, weights, allow_unexpected=UNUSED)
    return network


@pytest.fixture(scope="module")
def tiny() -> Any:
    return untrained("mart", seed=2, **SMALL)


def windows(snippets: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "visual": rng.uniform(0, 255, (1, snippets, 3, 16, 112, 112)).astype(np.float32),
        "audio": rng.normal(size=(1, 100 * snippets, 128)).astype(np.float32),
    }


def test_whole_network_meets_the_released_code(model: Any, golden: Golden) -> None:
    with jt.no_grad():
        outputs = model(jt.array(golden.input("visual")), jt.array(golden.input("audio")))
    audio, visual = golden.outputs["mbt_logits_audio"], golden.outputs["mbt_logits_visual"]
    assert_close(outputs["logits_audio"].numpy(), audio, WHOLE_NETWORK)
    assert_close(outputs["logits_visual"].numpy(), visual, WHOLE_NETWORK)
    assert_close(outputs["logits"].numpy(), audio + visual, WHOLE_NETWORK)
    assert_close(outputs["temporal"].numpy(), golden.outputs["mbt_temporal"], WHOLE_NETWORK)


def test_inner_maps_meet_the_released_code(model: Any, golden: Golden, shared: Path) -> None:
    taps = {tap["module"]: tap for tap in Golden(shared, "mart_mbt").taps if tap["out"] == 0}
    clips = golden.input("visual").reshape(2, 3, 16, 112, 112) / 255 - 100 / 255
    sounds = golden.input("audio").reshape(2, 100, 128)
    with jt.no_grad():
        visual, audio = model.vit.vid_model.embed(jt.array(clips)), jt.array(sounds)
        audio = model.vit.ast_model.embed(audio)
        assert_tap(visual.numpy(), taps["vid_model.pos_drop"], WHOLE_NETWORK)
        assert_tap(audio.numpy(), taps["ast_model.v.pos_drop"], WHOLE_NETWORK)
        block = model.vit.vid_model.blocks[0]
        assert_tap(block(visual)[0].numpy(), taps["vid_model.blocks.0"], WHOLE_NETWORK)
        block = model.vit.ast_model.v.blocks[0]
        assert_tap(block(audio)[0].numpy(), taps["ast_model.v.blocks.0"], WHOLE_NETWORK)
        tokens, sound_tokens, attention = model.vit.tokens(jt.array(clips), jt.array(sounds))
    assert_tap(tokens.numpy(), taps["vid_model.norm"], WHOLE_NETWORK)
    assert_tap(sound_tokens.numpy(), taps["ast_model.v.norm"], WHOLE_NETWORK)
    to_class = attention[:, :, 0, :393].numpy()
    assert_close(to_class, golden.outputs["fv_att_cls"], WHOLE_NETWORK)


def test_cached_snippets_give_what_the_whole_window_gives() -> None:
    model = untrained("mart", seed=2, **SMALL)
    inputs = windows(3)
    whole = model.infer(inputs)
    clips = inputs["visual"][0]
    sounds = inputs["audio"].reshape(3, 100, 128)
    with jt.no_grad():
        parts = [
            model.module.encode_snippets(jt.array(clips[i : i + 1]), jt.array(sounds[i : i + 1]))
            for i in range(3)
        ]
        features = [jt.concat([part[m] for part in parts]).unsqueeze(0) for m in (0, 1)]
        head = model.module.head(*features)
    for name, value in whole.items():
        assert_close(head[name].numpy(), value, 2e-5, name)
    assert whole["logits"].shape == (1, 6)
    assert whole["temporal"].shape == (1, 3, 6)


def test_snippets_change_only_their_own_row() -> None:
    model = untrained("mart", seed=2, **SMALL)
    inputs, other = windows(2), windows(2, seed=1)
    changed = {name: value.copy() for name, value in inputs.items()}
    changed["visual"][:, 1], changed["audio"][:, 100:] = (
        other["visual"][:, 1],
        other["audio"][:, 100:],
    )
    first, second = model.infer(inputs), model.infer(changed)
    assert_close(second["temporal"][:, 0], first["temporal"][:, 0], 1e-5)
    assert np.abs(second["temporal"][:, 1] - first["temporal"][:, 1]).max() > 1e-3


def test_the_streams_hear_each_other_only_through_the_shared_tokens() -> None:
    inputs = windows(1)
    silent = inputs | {"audio": np.zeros_like(inputs["audio"])}
    coupled = untrained("mart", seed=3, **SMALL)
    difference = coupled.infer(inputs)["logits_visual"] - coupled.infer(silent)["logits_visual"]
    assert np.abs(difference).max() > 1e-4
    # In the last block what is shared is averaged behind all attention, and so is never heard.
    last = untrained("mart", seed=3, **(SMALL | {"fusion_from": 2}))
    difference = last.infer(inputs)["logits_visual"] - last.infer(silent)["logits_visual"]
    assert np.abs(difference).max() < 1e-5


def test_the_fast_way_agrees_with_the_plain_one() -> None:
    model = untrained("mart", seed=4, **SMALL)
    inputs = windows(2)
    fast = model.infer(inputs)
    with plain_only():
        plain = model.infer(inputs)
    for name, value in plain.items():
        assert_close(fast[name], value, 1e-4, name)


def test_the_papers_temporal_scores_are_weighted_by_the_window(tiny: Any) -> None:
    paper = create("mart", variant="paper", **SMALL)
    paper.set_weights(tiny.weights())
    inputs = windows(2)
    released, weighted = tiny.infer(inputs), paper.infer(inputs)
    exponential = np.exp(released["logits"] - released["logits"].max())
    probabilities = (exponential / exponential.sum())[:, None]
    assert_close(weighted["temporal"], probabilities * released["temporal"], 2e-5)
    assert_close(weighted["logits"], released["logits"], 1e-5)


def test_sound_that_is_too_short_is_refused() -> None:
    model = untrained("mart", **SMALL)
    inputs = windows(2)
    with pytest.raises(ModelInputError, match="200 frames of sound, not 150"):
        model.infer(inputs | {"audio": inputs["audio"][:, :150]})


def test_impossible_architectures_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of heads"):
        create("mart", width=50, heads=4)
    with pytest.raises(UsageError, match="neither 'released' nor 'paper'"):
        create("mart", variant="better")
    with pytest.raises(UsageError, match="fusion_from"):
        create("mart", **(SMALL | {"fusion_from": 3}))
