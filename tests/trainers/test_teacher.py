from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import BundleError
from jack_stream.models.labels import EMOTION_GAIT
from trainers.bpm_gcn.teacher import Teacher, align
from trainers.data.walks import read_walks

WEIGHTS = "step_stgcn_real342_ep395_acc81.25.npz"


@pytest.fixture(scope="module")
def teacher(shared: Path) -> Teacher:
    folder = shared / "data" / "gait_teachers"
    return Teacher.read(folder / WEIGHTS, folder / "step_align_reference_frame.npy")


def test_the_three_real_samples_are_read_as_their_source_states(
    shared: Path, teacher: Teacher
) -> None:
    pytest.importorskip("h5py")
    walks = read_walks(shared / "data" / "emotion_gait_fragments" / "sample_features.h5")
    probabilities = [teacher.probabilities(walk.joints[np.newaxis])[0] for walk in walks]
    read = [(EMOTION_GAIT[p.argmax()], round(float(p.max()), 2)) for p in probabilities]
    assert read == [("neutral", 0.85), ("angry", 0.97), ("angry", 0.93)]
    assert [walk.label for walk in walks] == ["neutral", "angry", "angry"]


def test_acted_walks_are_read_as_their_source_states(shared: Path, teacher: Teacher) -> None:
    path = shared / "data" / "bandai_namco_styled_motion" / "dataset1_all_pos21.npz"
    happy = [w for w in read_walks(path) if w.content == "walk" and w.style == "happy"]
    windows = [w.joints[i : i + 75] for w in happy for i in range(0, len(w.joints) - 74, 10)]
    classes = teacher.probabilities(np.stack(windows)).argmax(1)
    assert np.bincount(classes, minlength=4).tolist() == [19, 0, 2, 0]


def test_place_heading_and_size_do_not_matter(teacher: Teacher) -> None:
    walk = np.random.default_rng(0).normal(size=(75, 16, 3))
    turned = walk @ np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    both = teacher.probabilities(np.stack([walk, 3.0 * turned + 5.0]))
    np.testing.assert_allclose(both[0], both[1], atol=1e-4)


def test_aligning_finds_the_similarity() -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(16, 3)).astype(np.float32)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation = (rotation * np.sign(np.linalg.det(rotation))).astype(np.float32)
    walk = (reference @ rotation * 2.5 + 7.0)[np.newaxis]
    np.testing.assert_allclose(align(walk, reference)[0], reference, atol=1e-4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    reference = tmp_path / "reference.npy"
    np.save(reference, np.zeros((16, 3)))
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    with pytest.raises(BundleError, match="no STEP classifier"):
        Teacher.read(other, reference)
    with pytest.raises(BundleError, match="can't be read"):
        Teacher.read(tmp_path / "absent.npz", reference)
