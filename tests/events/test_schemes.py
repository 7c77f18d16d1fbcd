from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.errors import ConfigError
from jack_stream.events.schemes import SCHEMES, VALENCE, Scheme, mapping, valence_of
from jack_stream.inference.catalogue import ANALYZERS, shipped_bundle
from jack_stream.models.registry import METHODS
from jack_stream.weights import read_bundle

_ALL_SCHEMES = st.sampled_from(sorted(SCHEMES))
_LABELS = st.lists(st.sampled_from([*sorted(VALENCE), "happy", "Fearful", "bored"]), min_size=1)


@given(labels=_LABELS, scheme=_ALL_SCHEMES, seed=st.integers(0, 1000))
def test_a_distribution_stays_one_in_every_scheme(
    labels: list[str], scheme: Scheme, seed: int
) -> None:
    table = mapping(labels, scheme)
    assert table.shape == (len(labels), len(SCHEMES[scheme]))
    assert (table >= 0).all()
    np.testing.assert_allclose(table.sum(axis=1), 1)
    said = np.random.default_rng(seed).dirichlet(np.ones(len(labels))) @ table
    assert said.sum() == pytest.approx(1)


@pytest.mark.parametrize("scheme", ["eight", "six", "four", "sentiment"])
def test_a_scheme_is_said_in_itself_as_it_is(scheme: Scheme) -> None:
    assert (mapping(SCHEMES[scheme], scheme) == np.eye(len(SCHEMES[scheme]))).all()


@pytest.mark.parametrize("scheme", ["eight", "six", "four", "sentiment"])
def test_neutral_says_nothing_where_there_is_no_neutral(scheme: Scheme) -> None:
    (row,) = mapping(["neutral"], scheme)
    if "neutral" in SCHEMES[scheme]:
        assert row[SCHEMES[scheme].index("neutral")] == 1
    else:
        assert np.ptp(row) == pytest.approx(0)


@pytest.mark.parametrize("label", sorted(VALENCE))
def test_the_valence_of_a_class_is_what_the_valence_scheme_makes_of_it(label: str) -> None:
    (row,) = mapping([label], "valence")
    assert row[1] - row[0] == pytest.approx(VALENCE[label])
    assert valence_of([label]) == pytest.approx([VALENCE[label]])


@pytest.mark.parametrize("label", sorted(VALENCE))
@pytest.mark.parametrize("scheme", ["eight", "six", "four", "sentiment"])
def test_no_table_makes_the_pleasant_unpleasant(label: str, scheme: Scheme) -> None:
    (row,) = mapping([label], scheme)
    valence = float(row @ valence_of(SCHEMES[scheme]))
    assert abs(valence - VALENCE[label]) < 0.6
    assert valence * VALENCE[label] >= -0.1


def test_every_method_can_be_said_in_every_scheme() -> None:
    for method in ANALYZERS:
        bundle = shipped_bundle(method)
        labels = METHODS[method].labels if bundle is None else read_bundle(bundle).card.labels
        for scheme in SCHEMES:
            assert mapping(labels, scheme).shape[0] == len(labels)


def test_a_class_without_a_name_is_not_guessed() -> None:
    with pytest.raises(ConfigError, match="'class-3'"):
        mapping(["happy", "class-3"], "six")
