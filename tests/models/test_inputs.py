import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jack_stream.errors import ModelInputError
from jack_stream.models.inputs import check_inputs, check_outputs

SPEC = {"visual": ("B", 2, 3), "audio": ("B", "T", 4)}


def _inputs() -> dict[str, np.ndarray]:
    return {"visual": np.ones((5, 2, 3), np.float32), "audio": np.ones((5, 7, 4), np.float32)}


def test_what_fits_comes_back_as_contiguous_float32() -> None:
    inputs = _inputs()
    inputs["visual"] = np.asfortranarray(inputs["visual"], dtype=np.float64)
    checked = check_inputs("m", SPEC, inputs)
    assert list(checked) == list(SPEC)
    assert all(v.dtype == np.float32 and v.flags.c_contiguous for v in checked.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio": None}, "'audio' is missing"),
        ({"sound": np.ones(3, np.float32)}, "no input 'sound'"),
        ({"visual": np.ones((5, 2, 3), np.uint8)}, "must be a float32 array, but is uint8"),
        ({"visual": [[1.0]]}, "but is list"),
        ({"visual": np.ones((5, 3, 2), np.float32)}, r"shape \[B, 2, 3\], but has \[5, 3, 2\]"),
        ({"visual": np.ones((5, 2), np.float32)}, r"but has \[5, 2\]"),
        ({"audio": np.ones((5, 0, 4), np.float32)}, r"but has \[5, 0, 4\]"),
        ({"audio": np.ones((6, 7, 4), np.float32)}, "B is 5 in the input 'visual' but 6"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, message: str) -> None:
    inputs = {k: v for k, v in {**_inputs(), **change}.items() if v is not None}
    with pytest.raises(ModelInputError, match=message) as error:
        check_inputs("m", SPEC, inputs)
    assert "it takes visual [B, 2, 3], audio [B, T, 4]" in str(error.value)


@given(
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.integers(0, 4),
    st.integers(0, 6),
    st.integers(0, 3),
)
def test_one_value_that_is_not_finite_is_found(bad: float, b: int, t: int, f: int) -> None:
    inputs = _inputs()
    inputs["audio"][b, t, f] = bad
    with pytest.raises(ModelInputError, match=rf"'audio' has the value .* at \[{b}, {t}, {f}\]"):
        check_inputs("m", SPEC, inputs)


def test_a_value_too_large_for_float32_is_not_finite() -> None:
    inputs = _inputs()
    inputs["audio"] = inputs["audio"].astype(np.float64) * 1e300
    with pytest.raises(ModelInputError, match="inf"):
        check_inputs("m", SPEC, inputs)


def test_outputs_that_are_not_finite_are_stopped() -> None:
    check_outputs("m", {"logits": np.zeros(3, np.float32)})
    with pytest.raises(ModelInputError, match="'logits' is not finite"):
        check_outputs("m", {"logits": np.array([0, np.nan], np.float32)})
