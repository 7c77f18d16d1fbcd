"""One training on some recordings and one test on others, kept in a folder of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from jack_stream.errors import SourceError, UsageError
from jack_stream.models.registry import Model
from trainers.audio_visual.initial import Beginning, begin_or_remember
from trainers.checkpoint import load_checkpoint
from trainers.data.sounds import Recording
from trainers.loop import BEST, LAST, train
from trainers.vaanet_audio.recipe import VoiceRecipe
from trainers.vaanet_audio.results import Heard, hear
from trainers.vaanet_audio.task import VoiceTask
from trainers.vaanet_audio.windows import Spectra, Windows, windows_of

__all__ = ["Trained", "Training", "hold_out"]

HEARD = "heard.npz"
_RANDOM_SHARE = 0.2
_log = structlog.get_logger()


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        model: with the weights that were kept.
        history: one mapping of figures per epoch.
        validation: what was not learned from, and what is said of it; None without any.
        beginning: where the first weights came from.
    """

    model: Model
    history: list[dict[str, float]]
    validation: Heard | None
    beginning: Beginning


@dataclass(frozen=True)
class Training:
    """What all trainings of a run have in common.

    Attributes:
        recipe: the settings.
        labels: the classes.
        spectra: of all recordings that any of them learns from.
        resume: go on where one was interrupted.
        init: a bundle or a checkpoint to begin from, as far as it fits.
    """

    recipe: VoiceRecipe
    labels: tuple[str, ...]
    spectra: Spectra
    resume: bool = False
    init: Path | None = None

    def on(self, recordings: Sequence[Recording], folder: Path) -> Trained:
        """Learn from recordings, less those held out for validation."""
        recipe = self.recipe
        learned, held = hold_out(recordings, recipe.data.validation_speakers, recipe.schedule.seed)
        windows = None
        if held:
            windows = self._windows(held)
        task = VoiceTask(
            recipe,
            self.labels,
            learned,
            self.spectra,
            validation=(held, windows) if windows else None,
        )
        beginning = begin_or_remember(task.model, self.init, folder, resume=self.resume)
        history = train(task, folder, recipe.schedule, resume=self.resume)
        load_checkpoint(folder / (BEST if held else LAST), task.module, None)
        task.module.eval()
        validation = None
        if windows is not None:
            validation = self._hear("validation", task.model, held, windows)
        return Trained(task.model, history, validation, beginning)

    def test(
        self, part: str, learned: Sequence[Recording], tested: Sequence[Recording], folder: Path
    ) -> Heard:
        """Learn from some recordings and listen to others; a part that is done is read back.

        Raises:
            UsageError: the folder's part was made with other settings or recordings.
        """
        key = self._key(learned, tested)
        done = folder / HEARD
        if done.exists() and self.resume:
            return _read(done, key, part, self.labels, tested)
        trained = self.on(learned, folder)
        heard = self.hear(part, trained.model, tested)
        kept = {"owner": heard.owner, "logits": heard.logits, "at_first": heard.at_first}
        np.savez(done, key=np.array(key), **kept)
        return heard

    def hear(self, part: str, model: Model, recordings: Sequence[Recording]) -> Heard:
        """What a network says of recordings whose classes it knows."""
        known = tuple(r for r in recordings if r.label in self.labels)
        return self._hear(part, model, known, self._windows(known))

    def _windows(self, recordings: Sequence[Recording]) -> Windows:
        cut, hop_s = self.recipe.model, self.recipe.data.hop_s
        voice = self.recipe.voice
        return windows_of(recordings, voice, cut.audio_n_segments, cut.piece_frames, hop_s)

    def _hear(
        self, part: str, model: Model, recordings: Sequence[Recording], windows: Windows
    ) -> Heard:
        adaptation_s = self.recipe.voice.adaptation_s
        return hear(part, model, recordings, windows, adaptation_s=adaptation_s, labels=self.labels)

    def _key(self, learned: Sequence[Recording], tested: Sequence[Recording]) -> str:
        settings = self.recipe.model_dump(mode="json", exclude={"card", "data"})
        names = [[r.name, r.label, r.speaker] for r in (*learned, *tested)]
        facts = [settings, self.recipe.data.validation_speakers, self.recipe.data.hop_s, names]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def hold_out(
    recordings: Sequence[Recording], speakers: int, seed: int
) -> tuple[list[Recording], list[Recording]]:
    """What to learn from, and what to choose the best epoch by.

    The data set's own split where it has one; else so many speakers of each corpus; where nobody
    says who speaks, a random fifth, with a warning.

    Raises:
        UsageError: nothing would be left to learn from.
    """
    rng = np.random.default_rng(seed)
    held: set[Recording] = {r for r in recordings if r.split == "validation"}
    divided = any(r.split for r in recordings)
    corpora = sorted({r.speaker.partition("/")[0] for r in recordings})
    for corpus in () if divided or not speakers else corpora:
        own = [r for r in recordings if r.speaker.partition("/")[0] == corpus]
        if not corpus:
            _log.warning("random_split", recordings=len(own), reason="nobody says who speaks")
            count = max(1, round(_RANDOM_SHARE * len(own)))
            held.update(own[i] for i in rng.choice(len(own), count, replace=False))
            continue
        names = sorted({r.speaker for r in own})
        if len(names) <= speakers:
            raise UsageError(
                f"{corpus}: of {len(names)} speakers {speakers} are to be held out for validation",
                hint="Set data.validation_speakers to less; 0 keeps the last weights.",
            )
        chosen = set(rng.choice(names, speakers, replace=False).tolist())
        held.update(r for r in own if r.speaker in chosen)
    learned = [r for r in recordings if r not in held and r.split != "test"]
    if not learned:
        raise UsageError("nothing is left to learn from: all recordings are held out")
    return learned, [r for r in recordings if r in held]


def _read(
    done: Path, key: str, part: str, labels: tuple[str, ...], tested: Sequence[Recording]
) -> Heard:
    try:
        with np.load(done, allow_pickle=False) as stored:
            kept = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise SourceError(f"{done}: can't be read: {error}") from error
    if str(kept.get("key")) != key:
        raise UsageError(
            f"{done}: was made with other settings or recordings", hint="Name another folder."
        )
    known = tuple(r for r in tested if r.label in labels)
    return Heard(part, labels, known, kept["owner"], kept["logits"], kept["at_first"])
