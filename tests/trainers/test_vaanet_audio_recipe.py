"""Training on voices: it learns what is there, goes on after a kill, and holds speakers out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import ConfigError, UsageError
from jack_stream.models import create, load
from jack_stream.weights import read_bundle
from tests.trainers.made_voices import write_voices
from trainers.cli import app
from trainers.data.sounds import Recording, read_sounds
from trainers.recipe import read_recipe
from trainers.vaanet_audio.recipe import VoiceRecipe
from trainers.vaanet_audio.run import run_recipe
from trainers.vaanet_audio.task import VoiceTask
from trainers.vaanet_audio.trial import hold_out
from trainers.vaanet_audio.windows import Spectra, logits_of, windows_of

pytestmark = pytest.mark.jittor

TINY = (
    "model.audio_n_segments=2", "model.width=4", "model.piece_frames=16", "model.dropout=0.1",
    "preprocessing.sample_rate=8000", "preprocessing.hop=250", "preprocessing.n_fft=512",
    "preprocessing.bands=24", "schedule.batch=8", "schedule.epochs=14", "optimizer.lr=0.005",
    "augmentation.speeds=[1.0, 0.9]", "augmentation.noise=0.2", "augmentation.colour_db=1.0",
    "augmentation.echo=0.1", "augmentation.band_limit=0.1", "augmentation.mask=0.1",
    "augmentation.mixup=0.2", "data.of_one_speaker=4",
)  # fmt: skip


def _recipe(folder: Path, *overrides: str) -> VoiceRecipe:
    path = f"data.paths={[str(folder)]}"
    return read_recipe(VoiceRecipe, "vaanet-audio-speech", [*TINY, path, *overrides])


def _recall(bundle_path: Path) -> float:
    metrics = read_bundle(bundle_path).card.metrics
    return next(m.value for m in metrics if m.name == "average recall")


def test_it_learns_what_is_heard_from_other_speakers(tmp_path: Path) -> None:
    voices = write_voices(tmp_path / "voices", each=12)
    run_recipe(_recipe(voices, "data.folds=2"), tmp_path / "run")
    assert _recall(tmp_path / "run" / "bundle") > 0.8
    report = (tmp_path / "run" / "report.md").read_text()
    assert "voices/s3" in report
    assert (tmp_path / "run" / "result-1.png").stat().st_size > 1000
    card = read_bundle(tmp_path / "run" / "bundle").card
    assert {m.name for m in card.metrics} >= {
        "average recall, mean of parts", "average recall, s.d. of parts", "right when announced",
    }  # fmt: skip


def test_without_what_tells_them_apart_it_guesses(tmp_path: Path) -> None:
    voices = write_voices(tmp_path / "voices", each=12, told=False)
    run_recipe(_recipe(voices, "data.folds=2"), tmp_path / "run")
    assert _recall(tmp_path / "run" / "bundle") == pytest.approx(0.5, abs=0.2)


class _KilledError(Exception):
    pass


def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = write_voices(tmp_path / "voices")
    recipe = _recipe(voices, "data.folds=2", "schedule.epochs=2")
    whole = run_recipe(recipe, tmp_path / "whole")

    def killed_after(batches: int) -> None:
        left: Iterator[int] = iter(range(batches))
        loss = VoiceTask.loss

        def or_die(self: VoiceTask, *args: object) -> object:
            if next(left, None) is None:
                raise _KilledError
            return loss(self, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(VoiceTask, "loss", or_die)

    killed_after(3)  # in the second epoch of two folds and all
    with pytest.raises(_KilledError):
        run_recipe(recipe, tmp_path / "killed")
    monkeypatch.undo()
    with pytest.raises(UsageError, match="holds a run"):
        run_recipe(recipe, tmp_path / "killed")
    again = run_recipe(recipe, tmp_path / "killed", resume=True)
    assert again.digest == whole.digest
    assert again.card.metrics == whole.card.metrics
    assert again.card.decision == whole.card.decision


def test_the_commands_train_and_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voices = write_voices(tmp_path / "voices")
    other = write_voices(tmp_path / "others", speakers=2, seed=1)
    run = tmp_path / "run"
    settings = [text for one in (*TINY, "schedule.epochs=2") for text in ("--set", one)]
    command = ["vaanet-audio", str(run), "--recipe", "vaanet-audio-speech", "--data", str(voices)]
    app([*command, "--test", str(other), *settings], standalone_mode=False)
    bundle = read_bundle(run / "bundle")
    assert bundle.card.labels == ["happy", "sad"]
    assert bundle.card.metrics[0].measured_on.startswith("others, never learned from, 2 classes")
    table = tmp_path / "out.csv"
    app(["test", str(run / "bundle"), str(other), "--per-video", str(table)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert f"average recall {bundle.card.metrics[0].value:.3f}" in shown
    assert len(table.read_text().splitlines()) == 17
    model = load(run / "bundle")
    assert model.input_spec["audio"] == ("B", 32, 24)


def test_fine_tuning_begins_with_a_bundle_and_passes_its_licences_on(tmp_path: Path) -> None:
    voices = write_voices(tmp_path / "voices", speakers=2)
    own = write_voices(tmp_path / "own", speakers=2, seed=1)
    first = run_recipe(_recipe(voices, "schedule.epochs=1"), tmp_path / "first")
    recipe = _recipe(own, "schedule.epochs=1", "optimizer.lr=1e-12")
    fine = run_recipe(recipe, tmp_path / "fine", init=tmp_path / "first" / "bundle")
    assert [data.name for data in fine.card.training_data] == ["own", "voices"]
    assert "tensors come from" in (tmp_path / "fine" / "report.md").read_text()
    learned = [name for name in first.tensors if "running" not in name]
    assert learned
    for name in learned:
        np.testing.assert_array_equal(fine.tensors[name], first.tensors[name])
    again = run_recipe(recipe, tmp_path / "fine", resume=True)
    assert again.card.training_data == fine.card.training_data


def test_weights_are_not_tested_on_what_they_have_learned_from(tmp_path: Path) -> None:
    voices = write_voices(tmp_path / "voices", speakers=2)
    own = write_voices(tmp_path / "own", speakers=2, seed=1)
    run_recipe(_recipe(voices, "schedule.epochs=1"), tmp_path / "first")
    init = tmp_path / "first" / "bundle"
    known = "has learned from voices, and is to be tested on it"
    with pytest.raises(UsageError, match=known):
        run_recipe(_recipe(voices, "data.folds=2"), tmp_path / "folds", init=init)
    with pytest.raises(UsageError, match=known):
        run_recipe(_recipe(own, f"data.test=['{voices}']"), tmp_path / "test", init=init)


def test_held_out_speakers_are_not_learned_from(tmp_path: Path) -> None:
    recordings = read_sounds(write_voices(tmp_path / "voices")).recordings
    learned, held = hold_out(recordings, 1, 0)
    assert len(learned) + len(held) == len(recordings)
    assert len({r.speaker for r in held}) == 1
    assert not {r.speaker for r in held} & {r.speaker for r in learned}
    assert hold_out(recordings, 0, 0) == (list(recordings), [])
    with pytest.raises(UsageError, match="validation_speakers"):
        hold_out(recordings, 4, 0)


UNEVEN = "data.even_corpora=false"


def _task(recordings: list[Recording], *overrides: str) -> VoiceTask:
    recipe = read_recipe(VoiceRecipe, "vaanet-audio-speech", [*TINY, *overrides])
    spectrum = np.zeros((40, 24), np.float16)
    spectra: Spectra = {recording.path: (spectrum,) for recording in recordings}
    return VoiceTask(recipe, ("happy", "sad"), recordings, spectra)


def test_a_batch_has_an_equal_share_of_each_of_its_speakers() -> None:
    counts = {"a": 9, "b": 8, "c": 2}
    recordings = [
        Recording(f"{who}{i}", ("happy", "sad")[i % 2], who, Path(f"{who}{i}"))
        for who, n in counts.items()
        for i in range(n)
    ]
    speakers = np.array([r.speaker for r in recordings])
    batches = _task(recordings, UNEVEN).batches(np.random.default_rng(0))
    heard = np.concatenate(batches)
    assert all(len(batch) == 8 for batch in batches)
    for share in heard.reshape(-1, 4):
        assert len(set(speakers[share])) == 1
    assert len(batches) == 2  # of five shares: two of a, two of b, one of c
    few = _task(recordings[-2:], UNEVEN).batches(np.random.default_rng(0))
    assert sorted(np.concatenate(few).tolist()) == [0, 0, 1, 1]  # there are only two


def test_a_small_corpus_is_said_as_many_times_over_as_it_fits_the_large_one() -> None:
    counts = {"large/a": 8, "large/b": 12, "small/c": 8}
    recordings = [
        Recording(f"{who}{i}", ("happy", "sad")[i % 2], who, Path(f"{who}{i}"))
        for who, n in counts.items()
        for i in range(n)
    ]
    task = _task(recordings)
    heard = np.concatenate(task.batches(np.random.default_rng(0)))
    speakers = np.array([r.speaker for r in recordings])[heard]
    assert len(heard) == 32  # nine shares of four in whole batches of two shares
    said = {who: int((speakers == who).sum()) for who in counts}
    assert said["small/c"] >= 12  # 16, less the share that fills no batch
    assert said["large/a"] <= 8
    plain = np.concatenate(_task(recordings, UNEVEN).batches(np.random.default_rng(0)))
    assert len(plain) == len(set(plain.tolist()))


def test_a_batch_that_speakers_cannot_fill_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"wrong:\n  schedule.batch = 24 is no multiple"):
        read_recipe(VoiceRecipe, "vaanet-audio-speech", ["schedule.batch=24"])
    with pytest.raises(ConfigError, match=r"even_corpora needs data.of_one_speaker"):
        read_recipe(VoiceRecipe, "vaanet-audio-speech", ["data.of_one_speaker=0"])


def test_what_was_heard_of_a_speaker_before_counts(tmp_path: Path) -> None:
    recordings = read_sounds(write_voices(tmp_path / "voices")).recordings
    settings = ["preprocessing.adaptation_s=5", *TINY, f"data.paths={[str(tmp_path / 'voices')]}"]
    recipe = read_recipe(VoiceRecipe, "vaanet-audio-speech", settings)
    model = create("vaanet-audio", **recipe.architecture(2))
    cut = recipe.model.audio_n_segments, recipe.model.piece_frames
    windows = windows_of(recordings, recipe.voice, *cut, recipe.data.hop_s)
    assert (windows.new_s > 0).all()
    familiar, at_first = logits_of(model, windows, recordings, [5.0, 0.0])
    plain = model.infer({"audio": windows.features})["logits"]
    np.testing.assert_allclose(at_first, plain, rtol=1e-3, atol=1e-4)
    assert np.abs(familiar - at_first).max() > 1e-3
    one = [i for i, r in enumerate(recordings) if r.speaker == recordings[0].speaker]
    own = windows_of([recordings[i] for i in one], recipe.voice, *cut, 0.25)
    unnamed = [replace(recordings[i], speaker="") for i in one]
    (alone,) = logits_of(model, own, unnamed, [5.0])  # each its own beginning
    assert np.abs(alone - familiar[np.isin(windows.owner, one)]).max() > 1e-4


def test_without_speakers_the_split_is_random_and_said_to_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nobody = [Recording(str(i), "happy", "", Path(f"{i}.wav")) for i in range(20)]
    learned, held = hold_out(nobody, 1, 0)
    assert (len(learned), len(held)) == (16, 4)
    assert "nobody says who speaks" in capsys.readouterr().out


def test_the_papers_recipe_has_the_papers_network() -> None:
    recipe = read_recipe(VoiceRecipe, "vaanet-audio")
    assert recipe.architecture(8) == {
        "n_classes": 8, "audio_n_segments": 16, "width": 64, "piece_frames": 256, "bands": 32,
        "dropout": 0.0,
    }  # fmt: skip
    assert recipe.voice.kind == "mfcc"
    assert recipe.optimizer.lr == pytest.approx(2e-4)


def test_the_learning_rate_falls_as_a_cosine() -> None:
    schedule = read_recipe(VoiceRecipe, "vaanet-audio-speech", ["schedule.epochs=4"]).schedule
    shares = [schedule.lr_share(epoch) for epoch in range(4)]
    np.testing.assert_allclose(shares, [1, 0.8536, 0.5, 0.1464], atol=1e-4)
