"""What fusion is worth, as far as it can be told: smoothing over time, and a walk next to a voice.

    python -m benchmarks.fusion --walks dataset1_all_pos21.npz [--only PATTERN]...

No recording here has a walk, a voice and an emotion that was agreed on. So this is what is there:

- *Smoothing*: what the speech network said of speakers who were held out (``docs/results``,
  RAVDESS), each speaker's recordings of a mood one after another, 3 s each, moods in random order;
  and the windows of walks that the gait network did not learn from.
- *Two methods*: each of those walks beside each held-out voice of the same mood. They are different
  people, recorded apart: their errors are independent and their truth is the same. Both flatter.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jack_stream import runtime
from jack_stream.clock import NS_PER_S
from jack_stream.config.streams import FusionSettings
from jack_stream.events.fusion import Fused, Fusion, Lane
from jack_stream.events.schema import Event, EventWindow
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.inference.analyzer import Prediction, read
from jack_stream.inference.catalogue import shipped_bundle
from jack_stream.inference.fusing import quality_of
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import Model, load
from tests.events.making import event
from trainers.bpm_gcn.examples import matching
from trainers.bpm_gcn.measure import TEST_HOP_S
from trainers.bpm_gcn.task import logits_of
from trainers.data.walks import cut, read_walks
from trainers.metrics.classification import average_recall, confusion_matrix, recalls

GAIT, VOICE = "bpm-gcn", "vaanet-audio"
RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
WINDOW_S = 3
ORDERS = 10
Array = npt.NDArray[np.float64]


class Said(NamedTuple):
    """A calibrated reading of something whose mood is known.

    Attributes:
        source: the speaker, or the walk.
        truth: the mood, one of four.
        label: what was announced.
        probabilities: of the method's own classes.
    """

    source: str
    truth: str
    label: str
    probabilities: Mapping[str, float]


class Scores(NamedTuple):
    """Truths, distributions over four classes and delays of judged instants."""

    truth: list[int]
    shares: list[Array]
    delay_s: list[float]

    def row(self) -> str:
        """Cells: average recall, each class's, log loss, mean delay."""
        shares = np.array(self.shares)
        matrix = confusion_matrix(self.truth, shares.argmax(1), len(EMOTION_GAIT))
        # Every class counts alike, as in the recall.
        losses = -np.log(shares[np.arange(len(shares)), self.truth])
        loss = np.mean([losses[np.array(self.truth) == c].mean() for c in np.unique(self.truth)])
        each = ", ".join(f"{one:.2f}" for one in recalls(matrix))
        delay_s = np.mean(self.delay_s)
        return f"{average_recall(matrix):.3f} ({each}) | {loss:.3f} | {delay_s:.1f} s |"


def voices(names: Sequence[str], threshold: float) -> Iterator[Said]:
    """Recordings of the four moods, as networks heard them that had not heard the speaker."""
    for name in names:
        with (RESULTS / f"speech-{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["truth"] in EMOTION_GAIT:
                    known = {k: float(v) for k, v in list(row.items())[4:]}
                    sure = max(known.values()) >= threshold
                    recording = row["recording"]
                    speaker = recording[-2:] if name == "ravdess" else recording[:2]
                    yield Said(
                        speaker, row["truth"], row["predicted"] if sure else "uncertain", known
                    )


def walks(model: Model, files: Sequence[Path], patterns: Sequence[str]) -> Iterator[Said]:
    """The windows of labelled walks, each half a second after the one before."""
    assert model.origin is not None
    grid = GaitPreprocessing.from_card(model.origin.card.preprocessing)
    for walk in matching([one for file in files for one in read_walks(file)], patterns):
        if walk.label is not None:
            windows, _ = cut(walk, grid, TEST_HOP_S)
            for logits in logits_of(model, grid, windows.astype(np.float32)):
                reading = read(model, Prediction(logits.astype(np.float32)))
                yield Said(walk.name, walk.label, reading.label, reading.probabilities)


def heard(method: str, index: int, end_s: float, length_s: float, said: Said) -> Event:
    """What was said, as an event."""
    end_ns, start_ns = round(end_s * NS_PER_S), round((end_s - length_s) * NS_PER_S)
    return event(
        index,
        method=method,
        person=1 if method == GAIT else None,
        window=EventWindow(
            index=index,
            start_ns=start_ns,
            end_ns=end_ns,
            start_s=end_s - length_s,
            end_s=end_s,
        ),
        label=said.label,
        confidence=max(said.probabilities.values()),
        probabilities=dict(said.probabilities),
    )


def fusion(qualities: Mapping[str, float], smoothing_s: float) -> Fusion:
    """Of methods alone or together, judged in four classes."""
    lanes = {method: Lane(1, quality) for method, quality in qualities.items()}
    settings = FusionSettings(scheme="four", smoothing_s=smoothing_s)
    return Fusion(settings, lanes, patient=True)


def smoothed(
    method: str, hop_s: float, length_s: float, runs: Sequence[Sequence[Said]], smoothing_s: float
) -> tuple[Scores, Scores]:
    """Every instant of some sequences, and those right after a change of mood."""
    everything, changes = Scores([], [], []), Scores([], [], [])
    for run in runs:
        one, before = fusion({method: 1.0}, smoothing_s), run[0].truth
        for i, said in enumerate(run):
            end_s = length_s + i * hop_s
            at_ns = round(end_s * NS_PER_S)
            found = one.hear(method, at_ns, [heard(method, i, end_s, length_s, said)])
            for scores in (everything, changes)[: 1 + (said.truth != before)]:
                _note(scores, said.truth, found[0])
            before = said.truth
    return everything, changes


def _note(scores: Scores, truth: str, fused: Fused) -> None:
    scores.truth.append(EMOTION_GAIT.index(truth))
    scores.shares.append(np.array([*fused.probabilities.values()]))
    scores.delay_s.append(fused.delay_ms / 1e3)


def moods(said: Sequence[Said]) -> list[list[Said]]:
    """Each speaker's recordings, mood by mood, the moods in some orders."""
    rng, runs = np.random.default_rng(0), []
    by_source = sorted(said, key=lambda one: one.source)
    for _, group in groupby(by_source, key=lambda one: one.source):
        own = list(group)
        for _ in range(ORDERS):
            order = rng.permutation(list(EMOTION_GAIT))
            runs.append([one for mood in order for one in own if one.truth == mood])
    return runs


def paired(
    gaits: Sequence[Said], spoken: Sequence[Said], qualities: Mapping[str, float], *, linear: bool
) -> Scores:
    """Each walk, by one of its windows, beside each voice of its mood."""
    rng, scores = np.random.default_rng(0), Scores([], [], [])
    for _, group in groupby(gaits, key=lambda one: one.source):
        windows = list(group)
        for voice in spoken:
            if voice.truth == windows[0].truth:
                walk = windows[rng.integers(len(windows))]
                found = _together({GAIT: walk, VOICE: voice}, qualities)
                _note(scores, voice.truth, found)
                if linear:
                    scores.shares[-1] = _mean(found)
    return scores


def _mean(fused: Fused) -> Array:
    """The weighted mean of what was fused."""
    weights = [part.weight for part in fused.ingredients]
    return np.array(weights) @ [[*part.probabilities.values()] for part in fused.ingredients]


def _together(said: Mapping[str, Said], qualities: Mapping[str, float]) -> Fused:
    """What methods say that end their windows of 3 s at the same instant."""
    one = fusion(qualities, 0.0)
    found = [
        fused
        for method in qualities
        for fused in one.hear(method, 3 * NS_PER_S, [heard(method, 0, 3.0, 3.0, said[method])])
    ]
    return (found or one.flush())[-1]


def show_smoothing(gaits: Sequence[Said], spoken: Sequence[Said]) -> None:
    """Print what smoothing gains, and how late it is."""
    print(
        "| sequences | smoothing | recall (happy, sad, angry, neutral) | log loss | delay |"
        " recall right after a change |"
    )
    print("|" + "---|" * 6)
    for smoothing_s in (0.0, 2.0, 4.0, 8.0):
        all_, changes = smoothed(VOICE, WINDOW_S, WINDOW_S, moods(spoken), smoothing_s)
        print(f"| voices | {smoothing_s:g} s | {all_.row()} {changes.row().split(' ')[0]} |")
    runs = [list(group) for _, group in groupby(gaits, key=lambda one: one.source)]
    for smoothing_s in (0.0, 2.0, 4.0, 8.0):
        all_, _ = smoothed(GAIT, TEST_HOP_S, 3.2, runs, smoothing_s)
        print(f"| walks | {smoothing_s:g} s | {all_.row()} - |")


def show_pairs(
    gaits: Sequence[Said], spoken: Sequence[Said], qualities: Mapping[str, float]
) -> None:
    """Print what each says alone and both together."""
    print("\n| walk and voice | recall (happy, sad, angry, neutral) | log loss | delay |")
    print("|---|---|---|---|")
    alike = dict.fromkeys(qualities, 1.0)
    forms: dict[str, tuple[Mapping[str, float], bool]] = {
        "the walk alone": ({GAIT: 1.0}, False),
        "the voice alone": ({VOICE: 1.0}, False),
        "fusion as it ships": (qualities, False),
        "both alike": (alike, False),
        "weighted mean instead of the opinion pool": (qualities, True),
    }
    for name, (weights, linear) in forms.items():
        print(f"| {name} | {paired(gaits, spoken, weights, linear=linear).row()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walks", type=Path, action="append", required=True, help="file of walks")
    parser.add_argument("--only", action="append", default=[], help="names of recordings")
    arguments = parser.parse_args()
    runtime.prepare(threads=1)
    bundles = {method: shipped_bundle(method) for method in (GAIT, VOICE)}
    models = {method: load(bundle) for method, bundle in bundles.items() if bundle is not None}
    card = models[VOICE].origin
    assert card is not None
    gaits = list(walks(models[GAIT], arguments.walks, arguments.only or ["*"]))
    threshold = card.card.decision.abstain_below
    show_smoothing(gaits, list(voices(["ravdess"], threshold)))
    qualities = {method: quality_of(model) for method, model in models.items()}
    print("\nquality: " + ", ".join(f"{name} {one:.2f}" for name, one in qualities.items()))
    show_pairs(gaits, list(voices(["ravdess", "emodb"], threshold)), qualities)


if __name__ == "__main__":
    main()
