"""The terms of the corpora that are known by their names."""

from __future__ import annotations

from collections.abc import Sequence

from trainers.bundling import DataLicence
from trainers.data.sounds import SoundSet

__all__ = ["licences_of"]

_KNOWN = {
    "RAVDESS": DataLicence(
        name="RAVDESS, speech",
        licence="CC BY-NC-SA 4.0 (non-commercial, share alike)",
        source="Livingstone and Russo, PLoS ONE 13(5), 2018; https://zenodo.org/records/1188976",
    ),
    "EmoDB": DataLicence(
        name="Berlin Database of Emotional Speech (EmoDB)",
        licence="free download and use in research, as published by TU Berlin",
        source="Burkhardt et al., Interspeech 2005",
    ),
}


def licences_of(sets: Sequence[SoundSet]) -> list[DataLicence]:
    """An entry of the card for each set; the licence of one of another name is ``unknown``.

    A recipe's ``card.training_data`` says it better for recordings of one's own.
    """
    entries = []
    for one in sets:
        known = _KNOWN.get(one.name, DataLicence(name=one.name, licence="unknown"))
        note = f"{len(one.recordings)} recordings of {len(one.speakers) or 'unknown'} speakers."
        entries.append(known.model_copy(update={"note": note}))
    return entries
