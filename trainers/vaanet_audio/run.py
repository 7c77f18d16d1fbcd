"""One run on voices: hold speakers out in turn, learn from all, test elsewhere."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jack_stream.errors import UsageError
from jack_stream.models.registry import Model
from jack_stream.weights import Bundle, Card, write_bundle
from jack_stream.weights.bundle import read_card
from jack_stream.weights.card import Decision, Metric
from trainers.audio_visual.initial import Beginning, is_bundle
from trainers.bundling import provenance
from trainers.data.sounds import SoundSet, digest, read_sounds, speaker_folds
from trainers.report import write_report
from trainers.vaanet_audio.licences import licences_of
from trainers.vaanet_audio.recipe import VoiceRecipe
from trainers.vaanet_audio.results import (
    Heard,
    SpeechResults,
    crossed,
    decision_of,
    results_of,
    trust,
)
from trainers.vaanet_audio.trial import Trained, Training
from trainers.vaanet_audio.windows import spectra_of

__all__ = ["run_recipe"]


def run_recipe(
    recipe: VoiceRecipe, run: Path, *, resume: bool = False, init: Path | None = None
) -> Bundle:
    """Everything from data sets to a tested bundle ``run/bundle``.

    Args:
        recipe: the settings.
        run: the run's folder; each part of an evaluation has a folder in it.
        resume: go on with a run that was interrupted.
        init: a bundle or a checkpoint to begin from, as far as it fits; its licences go on.

    Raises:
        JackError: data, recipe or folder are wrong, or ``init`` knows what is to be tested on.
    """
    run.mkdir(parents=True, exist_ok=True)
    sets = [_chosen(_read(path, recipe), recipe) for path in recipe.data.paths]
    others = [_read(path, recipe) for path in recipe.data.test]
    if not sets:
        raise UsageError("there is nothing to learn from", hint="Name a data set: --data PATH.")
    held_out = recipe.data.folds is not None or recipe.data.across
    if init is not None:
        _check_unseen(init, [*(sets if held_out else ()), *others])
    recordings = [r for one in sets for r in one.recordings]
    labels = tuple(recipe.data.labels) or SoundSet("", tuple(recordings)).labels
    spectra = spectra_of(recordings, recipe.voice, recipe.augmentation.speeds)
    training = Training(recipe, labels, spectra, resume, init)
    results = _across(training, sets, run) if recipe.data.across else {}
    folds = _folds(training, sets, run)
    final = training.on([r for r in recordings if r.split != "test"], run)
    decision = decision_of(folds or ([final.validation] if final.validation else []))
    results |= _elsewhere(training, final.model, sets, others, decision.temperature)
    results |= _by_speaker(sets, folds)
    if recipe.voice.adaptation_s:
        results |= _by_speaker(sets, [one.unfamiliar for one in folds], ", a voice's first words")
    if not folds and final.validation:
        results["validation"] = results_of([final.validation], [decision.temperature])
    metrics = [*_metrics(results), *trust(folds)]
    card = _card(recipe, sets, labels, decision, metrics, beginning=final.beginning)
    weights = final.model.weights()
    bundle = write_bundle(
        run / "bundle", card, weights, storage=recipe.card.storage, overwrite=True
    )
    _report(run, bundle, sets, final, results)
    return bundle


def _report(
    run: Path,
    bundle: Bundle,
    sets: Sequence[SoundSet],
    final: Trained,
    results: Mapping[str, SpeechResults],
) -> None:
    """``report.md`` with its pictures, and a table per test of what was said of each recording."""
    card = bundle.card
    facts = {
        "recordings": ", ".join(f"{len(one.recordings)} of {one.name}" for one in sets),
        "classes": ", ".join(card.labels),
        "temperature": f"{card.decision.temperature:.3f}",
        "abstain below": f"{card.decision.abstain_below:.2f}",
        **{m.name: f"{m.value:.3f}" for m in card.metrics if "announced" in m.name},
        "most memory": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB",
        "tensors": bundle.digest,
        "weights at first": "; ".join(final.beginning.said),
        "command": card.provenance.command,
    }
    title = "VAANet's audio stream on voices"
    write_report(run, title, history=final.history, results=results, facts=facts)
    for number, result in enumerate(results.values(), start=1):
        result.write_csv(run / f"result-{number}.csv")


def _read(path: Path, recipe: VoiceRecipe) -> SoundSet:
    """A data set as the recipe wants damaged recordings treated."""
    return read_sounds(path.expanduser(), skip_corrupt=recipe.data.skip_corrupt)


def _chosen(found: SoundSet, recipe: VoiceRecipe) -> SoundSet:
    """The recordings of a set that have one of the classes to learn."""
    wanted = recipe.data.labels or found.labels
    recordings = tuple(r for r in found.recordings if r.label in wanted)
    if not recordings:
        raise UsageError(
            f"{found.name}: has no recording of {', '.join(wanted)}",
            hint=f"It has {', '.join(found.labels)}: see data.labels.",
        )
    return replace(found, recordings=recordings)


def _check_unseen(init: Path, tested: Sequence[SoundSet]) -> None:
    """Refuse to test on what the first weights have learned from: such figures would flatter.

    A checkpoint does not say what it has learned from.
    """
    if not is_bundle(init):
        return
    names = {data.name for data in read_card(init.expanduser()).training_data}
    seen = [data.name for data in licences_of(tested) if data.name in names]
    if seen:
        raise UsageError(
            f"{init} has learned from {' and '.join(seen)}, and is to be tested on it",
            hint="Begin at random, or leave out --folds, --across and --test.",
        )


def _across(training: Training, sets: Sequence[SoundSet], run: Path) -> dict[str, SpeechResults]:
    """Each set after learning from the others: what to expect of other people in another room."""
    if len(sets) == 1:
        raise UsageError("--across needs two data sets or more", hint="Name another with --data.")
    results = {}
    for held in sets:
        rest = [one for one in sets if one is not held]
        learned = [r for one in rest for r in one.recordings]
        known = {r.label for r in learned}
        other = replace(training, labels=tuple(x for x in training.labels if x in known))
        heard = other.test(held.name, learned, held.recordings, run / f"across-{held.name}")
        common = heard.among({r.label for r in held.recordings})
        name = f"{held.name} after learning {' and '.join(one.name for one in rest)} only"
        results[f"{name}, {_classes(common.labels)}"] = results_of([common], [1.0])
    return results


def _folds(training: Training, sets: Sequence[SoundSet], run: Path) -> list[Heard]:
    recordings = [r for one in sets for r in one.recordings]
    if training.recipe.data.folds is None:
        return []
    heard = []
    for number, held in enumerate(speaker_folds(sets, training.recipe.data.folds), start=1):
        name = ", ".join(sorted(held))
        learned = [r for r in recordings if r.speaker not in held]
        tested = [r for r in recordings if r.speaker in held]
        heard.append(training.test(name, learned, tested, run / f"fold-{number}"))
    return heard


def _elsewhere(
    training: Training,
    model: Model,
    sets: Sequence[SoundSet],
    others: Sequence[SoundSet],
    temperature: float,
) -> dict[str, SpeechResults]:
    """The final network on other corpora, and on what a set keeps for tests."""
    results = {}
    for other in others:
        heard = training.hear(other.name, model, other.recordings)
        common = heard.among(other.labels)
        name = f"{other.name}, never learned from, {_classes(common.labels)}"
        results[name] = results_of([common], [temperature])
    for one in sets:
        kept = [r for r in one.recordings if r.split == "test"]
        if kept:
            heard = training.hear(one.name, model, kept)
            results[f"{one.name}, its test part"] = results_of([heard], [temperature])
    return results


def _by_speaker(
    sets: Sequence[SoundSet], folds: Sequence[Heard], how: str = ""
) -> dict[str, SpeechResults]:
    """What was held out, corpus by corpus, each part at the temperature of the other parts."""
    results = {}
    decisions = crossed(folds)
    for one in sets if folds else ():
        corpus = one.speakers[0].partition("/")[0] + "/"
        own = [heard.among(one.labels, corpus) for heard in folds]
        parts = [(heard, t.temperature) for heard, t in zip(own, decisions, strict=True)]
        present = [(heard, t) for heard, t in parts if heard.recordings]
        name = f"{one.name}, speakers held out, {_classes(present[0][0].labels)}{how}"
        results[name] = results_of(*map(list, zip(*present, strict=True)))
    return results


def _metrics(results: Mapping[str, SpeechResults]) -> list[Metric]:
    return [metric for where, result in results.items() for metric in result.metrics(where)]


def _card(
    recipe: VoiceRecipe,
    sets: Sequence[SoundSet],
    labels: tuple[str, ...],
    decision: Decision,
    metrics: Sequence[Metric],
    *,
    beginning: Beginning,
) -> Card:
    recordings = [r for one in sets for r in one.recordings]
    own = [item.for_card() for item in recipe.card.training_data or licences_of(sets)]
    return Card(
        method="vaanet-audio",
        architecture=recipe.architecture(len(labels)),
        labels=labels,
        trained=True,
        preprocessing=recipe.voice.to_card(),
        decision=decision,
        training_data=list(dict.fromkeys([*own, *beginning.training_data])),
        metrics=metrics,
        caveats=recipe.card.caveats,
        provenance=provenance(
            recipe.card.author,
            recipe.schedule.seed,
            {"training recordings": f"sha256 {digest(recordings)}"},
        ),
    )


def _classes(labels: Sequence[str]) -> str:
    return f"{len(labels)} classes"
