"""The speech bundle that comes with the package is what its card says."""

import csv
from pathlib import Path

import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.inference.catalogue import make_analyzer, shipped_bundle
from jack_stream.models import load
from trainers.metrics.classification import average_recall, confusion_matrix
from trainers.recipe import read_recipe
from trainers.vaanet_audio.measure import measure
from trainers.vaanet_audio.recipe import VoiceRecipe

pytestmark = pytest.mark.jittor

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = Path(str(shipped_bundle("vaanet-audio")))


def test_the_card_begins_with_the_other_corpus_and_passes_the_licences_on() -> None:
    card = load(BUNDLE).origin.card
    first = card.metrics[0]
    assert first.name == "average recall"
    assert "after learning" in first.measured_on
    licences = " ".join(item.licence for item in card.training_data)
    assert "CC BY-NC-SA 4.0" in licences
    assert "research" in licences
    assert any("actors" in caveat for caveat in card.caveats)
    assert any("commercial" in caveat for caveat in card.caveats)
    assert 0 < card.decision.abstain_below < 1
    assert sum(file.stat().st_size for file in BUNDLE.iterdir()) < 3e6


def test_it_is_of_the_recipe_that_comes_along() -> None:
    card = load(BUNDLE).origin.card
    recipe = read_recipe(VoiceRecipe, "vaanet-audio-speech")
    assert card.architecture == recipe.architecture(len(card.labels))
    assert card.preprocessing == recipe.voice.to_card()
    assert list(card.caveats) == recipe.card.caveats


def test_live_it_hears_windows_of_the_length_that_it_learned() -> None:
    settings = AnalyzerSettings(method="vaanet-audio", bundle="default")
    assert make_analyzer(settings).spec.length_ns == 3_000_000_000


def test_it_knows_the_recordings_that_it_learned_from(shared: Path) -> None:
    """No figure of the card, which are all of speakers held out: only that it is whole."""
    names = ["03-01-0?-02-01-01-0[12]"]
    results = measure(load(BUNDLE), [shared / "data" / "ravdess"], names, None)
    assert len(results.clips) == 14  # neutral has no strong form
    assert results.average_recall > 0.6


@pytest.mark.parametrize("corpus", ["RAVDESS", "EmoDB"])
def test_the_cards_figures_are_those_of_the_tables(corpus: str) -> None:
    table = ROOT / "docs" / "results" / f"speech-{corpus.lower()}.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = list(rows[0])[4:]
    truth = [labels.index(row["truth"]) for row in rows]
    said = [max(labels, key=lambda label: float(row[label])) for row in rows]
    assert sum(s == row["predicted"] for s, row in zip(said, rows, strict=True)) >= len(rows) - 2
    matrix = confusion_matrix(truth, [labels.index(r["predicted"]) for r in rows], len(labels))
    stated = next(
        metric
        for metric in load(BUNDLE).origin.card.metrics
        if metric.name == "average recall" and metric.measured_on.startswith(f"{corpus}, speakers")
    )
    assert average_recall(matrix) == pytest.approx(stated.value)
    assert stated.measured_on.endswith(f"{len(rows)} recordings")
