"""How `pytest -n` deals out the files of tests, so that no process waits for another's compiler."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

__all__ = ["FromBothEnds"]


class FromBothEnds(LoadFileScheduling):
    """The first process takes files from the front, all others take them from the back.

    Jittor holds a lock while it compiles. Two processes with kernels to compile would mostly wait
    for each other; so one has the files that compile, until it meets the others.
    """

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False
        super().schedule()

    def _assign_work_unit(self, node: WorkerController) -> None:
        if node is not self.nodes[0]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
