"""How `pytest -n` deals out the files of tests, so that processes seldom wait for a compiler.

Jittor's lock is held while it compiles, and is needed even to load a kernel. Two processes with
kernels to compile mostly wait for each other, and a system that starts beside one waits for
minutes. So the first process has the files that compile, the others have the rest until that is
done, and whole systems come last.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

__all__ = ["FromBothEnds", "is_system"]

_SYSTEMS = (
    "tests/end_to_end/",
    "tests/faults/test_kills.py",
    "tests/service/test_reload.py",
    "tests/service/test_supervisor.py",
)


def is_system(file: str) -> bool:
    """Whether a file of tests, as pytest names it, starts systems that run networks."""
    return file.startswith(_SYSTEMS)


class FromBothEnds(LoadFileScheduling):
    """The first process takes files from the front, all others take the last that is no system."""

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False
        super().schedule()

    def remove_node(self, node: WorkerController) -> str | None:
        # xdist would deal out again what a process had finished before it crashed. Nothing is left
        # to run of that, so whoever is given it never asks for more, and the run never ends.
        files = self.assigned_work[node]
        self.assigned_work[node] = {name: t for name, t in files.items() if not all(t.values())}
        return super().remove_node(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if node is not self.nodes[0]:
            files = [file for file in self.workqueue if not is_system(file)]
            if files:
                self.workqueue.move_to_end(files[-1], last=False)
        super()._assign_work_unit(node)
