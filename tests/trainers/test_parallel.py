import pytest

from jack_stream.errors import MissingDependencyError
from trainers import parallel

pytestmark = pytest.mark.jittor


def test_one_process_alone_takes_everything() -> None:
    assert parallel.world() == (0, 1)
    assert parallel.is_first()
    assert parallel.share([1, 2, 3]) == [1, 2, 3]


def test_several_take_as_much_each_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for rank in range(3):
        monkeypatch.setattr(parallel, "world", lambda rank=rank: (rank, 3))
        taken.append(parallel.share(list(range(11))))
    assert sorted(batch for part in taken for batch in part) == list(range(9))
    assert {len(part) for part in taken} == {3}


def test_mpirun_without_jittors_mpi_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    with pytest.raises(MissingDependencyError, match=r"openmpi|without MPI"):
        parallel.world()


def test_another_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(MissingDependencyError, match="not by Open MPI"):
        parallel.world()
