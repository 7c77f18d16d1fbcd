"""Features of frozen networks: computed once, for what they depend on, and never half written."""

from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import SourceError
from trainers.data.feature_cache import FeatureCache, feature_key


def _counted(calls: list[int]) -> dict[str, np.ndarray]:
    calls.append(1)
    return {"visual": np.arange(6, dtype=np.float32).reshape(2, 3) * len(calls)}


def test_features_are_computed_once_even_by_another_process(tmp_path: Path) -> None:
    calls: list[int] = []
    key = feature_key("clip", "backbone", view="centre")
    first = FeatureCache(tmp_path).get(key, lambda: _counted(calls))
    second = FeatureCache(tmp_path).get(key, lambda: _counted(calls))
    assert len(calls) == 1
    np.testing.assert_array_equal(first["visual"], second["visual"])
    assert key in FeatureCache(tmp_path)


def test_whatever_features_depend_on_changes_their_key() -> None:
    keys = {
        feature_key("clip", "backbone", view="centre"),
        feature_key("other", "backbone", view="centre"),
        feature_key("clip", "other", view="centre"),
        feature_key("clip", "backbone", view="corner"),
        feature_key("clip", "backbone", view="centre", snippets=12),
    }
    assert len(keys) == 5
    assert feature_key("a", "b", x=1, y=2) == feature_key("a", "b", y=2, x=1)


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    calls: list[int] = []
    key = feature_key("clip", "backbone")
    FeatureCache(tmp_path).get(key, lambda: _counted(calls))
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:20])
    cache = FeatureCache(tmp_path)
    assert cache.get(key, lambda: _counted(calls))["visual"][1, 2] == 10
    assert cache.computed == 1
    assert FeatureCache(tmp_path).get(key, lambda: _counted(calls))["visual"][1, 2] == 10
    assert len(calls) == 2


def test_an_interrupted_computation_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path).get(feature_key("a", ""), interrupted)
    assert not list(tmp_path.rglob("*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="file"):
        FeatureCache(tmp_path / "file").get(feature_key("a", ""), lambda: _counted([]))
