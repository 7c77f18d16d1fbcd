"""A window's sound as VAANet's audio stream takes it, as a bundle's card says.

Two kinds of features are known: the paper's cepstral coefficients at 44.1 kHz, repeated to fill all
pieces; and a log-mel spectrogram at a rate of speech, which does not change with the microphone's
level or with what it picks up above the voice. Live streams and trainers take both from here.

They are made in two steps, so that a trainer may keep what is dear (``power``) and change it before
what is cheap (``features``).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
import soxr

from jack_stream.features import mfcc
from jack_stream.features.carded import CardedSettings
from jack_stream.features.framing import Samples
from jack_stream.features.mel import Bands, MelSpectrum, power_to_db

__all__ = ["VoicePreprocessing"]

_DB_PER_UNIT = 15.0
_OFFSET = 2.0
"""A log-mel window lies within about -2..2: its loudest band is 2, 60 dB below it is -2."""


class VoicePreprocessing(CardedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From samples to frames, as the ``preprocessing`` table of a card says; defaults are VAANet's.

    Attributes:
        kind: ``mfcc`` is VAANet's; ``log-mel`` is decibels below the window's loudest band.
        sample_rate: to which the sound is resampled, in hertz.
        hop: samples between frames.
        n_fft: samples of a frame.
        bands: of the mel spectrum.
        adaptation_s: how many seconds of a voice count as much as all that was learned from:
            see `jack_stream.features.familiar`; 0: a voice is never got to know.
        range_db: of log-mel: what is quieter than the loudest band by more is raised to that.
        silent_db: of log-mel: a piece of a window whose loudest band is quieter by more than the
            window's is a pause, which has no say; 0: every piece has.
    """

    model: ClassVar[str] = "voice"

    kind: Literal["mfcc", "log-mel"] = "mfcc"
    sample_rate: Annotated[int, msgspec.Meta(ge=1000)] = mfcc.SAMPLE_RATE
    hop: Annotated[int, msgspec.Meta(ge=1)] = mfcc.HOP
    n_fft: Annotated[int, msgspec.Meta(ge=2)] = 2048
    bands: Annotated[int, msgspec.Meta(ge=1)] = 128
    range_db: Annotated[float, msgspec.Meta(ge=1)] = 80.0
    silent_db: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    adaptation_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    @property
    def values(self) -> int:
        """Values of a frame."""
        return mfcc.COEFFICIENTS if self.kind == "mfcc" else self.bands

    def seconds(self, frames: int) -> float:
        """How much sound fills so many frames."""
        return frames * self.hop / self.sample_rate

    @property
    def spectrum(self) -> MelSpectrum:
        """Of sound at this ``sample_rate``: what ``power`` is."""
        # The paper's sound is mirrored at its ends; a log-mel window's ends are silence.
        padding: Literal["reflect", "zero"] = "reflect" if self.kind == "mfcc" else "zero"
        return MelSpectrum(self.sample_rate, self.hop, self.bands, self.n_fft, padding)

    def power(self, samples: Samples, sample_rate: int) -> Bands:
        """The mel power spectrum of a sound of any length.

        Args:
            samples: float32 ``[n]``, full scale at 1.
            sample_rate: of the samples, in hertz.

        Returns:
            float32 ``[1 + n' // hop, bands]`` for the n' samples after resampling.
        """
        if sample_rate != self.sample_rate:
            samples = np.asarray(soxr.resample(samples, sample_rate, self.sample_rate), np.float32)
        return self.spectrum.whole(samples)

    def features(self, power: Bands, frames: int) -> Bands:
        """The network's input from at least one frame of power.

        Args:
            power: of a window, float32 ``[n, bands]``.
            frames: what the network takes.

        Returns:
            float32 ``[frames, values]``: repeated (mfcc) or followed by silence (log-mel) where
            there are fewer; cut where there are more.
        """
        if self.kind == "mfcc":
            return mfcc.repeat(mfcc.coefficients(power), frames)
        held = np.zeros((frames, self.bands), np.float32)
        kept = power[:frames]
        held[: len(kept)] = kept
        decibels = power_to_db(held, range_db=self.range_db)
        scaled = (decibels - decibels.max()) / np.float32(_DB_PER_UNIT) + np.float32(_OFFSET)
        return np.asarray(scaled, np.float32)

    def sounding(self, features: Bands, pieces: int) -> Bands:
        """Which pieces of windows have a say.

        Args:
            features: of windows, float32 ``[..., frames, values]``.
            pieces: into which the network cuts a window; a divisor of its frames.

        Returns:
            float32 ``[..., pieces]``: 1 for what sounds, 0 for a pause.
        """
        windows = features.shape[:-2]
        if self.kind == "mfcc" or not self.silent_db:
            return np.ones((*windows, pieces), np.float32)
        loudest = features.reshape(*windows, pieces, -1).max(-1)
        return np.asarray(loudest >= _OFFSET - self.silent_db / _DB_PER_UNIT, np.float32)
