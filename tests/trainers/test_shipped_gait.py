from pathlib import Path

import pytest

from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.inference.catalogue import shipped_bundle
from jack_stream.models import load
from trainers.bpm_gcn.measure import evaluate, judge_of
from trainers.bpm_gcn.measure import test_examples as examples_of
from trainers.data.made_walks import write_walks
from trainers.metrics.classification import average_recall

pytestmark = pytest.mark.jittor

BUNDLE = Path(str(shipped_bundle("bpm-gcn")))


def _results(path: Path, names: list[str]):  # noqa: ANN202 - a helper of two tests
    model = load(BUNDLE)
    card = model.origin.card
    grid = GaitPreprocessing.from_card(card.preprocessing)
    judge = judge_of(model, grid, card.decision.temperature)
    return card, evaluate(examples_of(path, names, grid), judge)


def test_it_knows_made_walks_that_it_has_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "walks.npz"
    write_walks(path, 24, 12345)
    _, results = _results(path, ["*"])
    assert average_recall(results.matrix) > 0.85


def test_the_cards_figures_are_what_the_weights_give(shared: Path) -> None:
    path = shared / "data" / "bandai_namco_styled_motion" / "dataset1_all_pos21.npz"
    card, results = _results(path, ["dataset-1_walk_*"])
    stated = {m.name: m.value for m in card.metrics if m.measured_on.startswith(path.name)}
    assert results.average_recall == pytest.approx(stated["average recall"])


def test_the_card_passes_the_licences_on() -> None:
    card = load(BUNDLE).origin.card
    licences = " ".join(item.licence for item in card.training_data)
    assert "CC BY-NC 4.0" in licences
    assert "MIT" in licences
    assert any("commercial" in caveat for caveat in card.caveats)
    assert sum(file.stat().st_size for file in BUNDLE.iterdir()) < 20e6
