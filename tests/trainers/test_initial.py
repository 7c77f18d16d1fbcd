"""What a run begins with, and what it remembers of that when it goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jack_stream.inference.catalogue import shipped_bundle
from jack_stream.models import Model, create
from jack_stream.weights import read_bundle
from trainers.audio_visual.initial import begin_or_remember
from trainers.loop import LAST

pytestmark = pytest.mark.jittor
BUNDLE = Path(str(shipped_bundle("bpm-gcn")))


def like_the_bundle() -> Model:
    card = read_bundle(BUNDLE).card
    return create("bpm-gcn", **card.architecture)


def has_its_weights(model: Model) -> bool:
    tensors, weights = read_bundle(BUNDLE).tensors, model.weights()
    return all(np.array_equal(weights[name], tensors[name]) for name in weights)


def test_a_run_that_ended_before_its_first_checkpoint_begins_with_the_same_weights_again(
    tmp_path: Path,
) -> None:
    begin_or_remember(like_the_bundle(), BUNDLE, tmp_path, resume=True)
    model = like_the_bundle()
    assert not has_its_weights(model)
    begin_or_remember(model, BUNDLE, tmp_path, resume=True)
    assert has_its_weights(model)


def test_a_run_that_goes_on_from_a_checkpoint_still_knows_whose_data_it_learned_from(
    tmp_path: Path,
) -> None:
    first = begin_or_remember(like_the_bundle(), BUNDLE, tmp_path, resume=False)
    (tmp_path / LAST).mkdir()
    model = like_the_bundle()
    again = begin_or_remember(model, BUNDLE, tmp_path, resume=True)
    assert again == first
    assert again.training_data == tuple(read_bundle(BUNDLE).card.training_data)
    assert not has_its_weights(model), "the checkpoint has what it learned since"
