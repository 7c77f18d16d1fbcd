"""Adam that also keeps a running mean of the weights, by which MART is judged and deployed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jack_stream.runtime import jittor
from trainers.adam import Adam

__all__ = ["AveragingAdam"]

jt = jittor()
Var = Any


class AveragingAdam(Adam):
    """Adam with an exponential moving average of what it trains.

    At step n the mean keeps the share ``decay * (1 - exp(-n / warm_up))`` of itself: little at
    first, when the weights are those of chance. Checkpoints keep the mean with Adam's moments.

    Args:
        parameters: what is trained.
        lr: learning rate.
        weight_decay: added to the gradient as a share of the parameter.
        decay: of the mean; 0 makes it the weights themselves.
        warm_up: in steps.
    """

    def __init__(
        self,
        parameters: Sequence[Var],
        lr: float,
        *,
        weight_decay: float = 0.0,
        decay: float = 0.999,
        warm_up: float = 2000.0,
    ) -> None:
        super().__init__(parameters, lr, weight_decay=weight_decay)
        self._decay, self._warm_up = decay, warm_up
        group = self.param_groups[0]
        group["average"] = [p.clone().stop_grad() for p in group["params"]]

    def step(self, loss: Var = None, retain_graph: bool = False) -> None:
        """A step of Adam, and of the mean after it."""
        super().step(loss, retain_graph)
        keep = self._decay * (1.0 - math.exp(-self.n_step / self._warm_up))
        for mean, parameter in self._pairs():
            mean.update(keep * mean + (1.0 - keep) * parameter)

    def take_average(self) -> None:
        """Put the mean in the weights' place for good."""
        for mean, parameter in self._pairs():
            parameter.update(mean)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The mean in the weights' place, for as long as the context lasts."""
        held = [parameter.clone() for _, parameter in self._pairs()]
        jt.sync(held)
        self.take_average()
        try:
            yield
        finally:
            for value, (_, parameter) in zip(held, self._pairs(), strict=True):
                parameter.update(value)

    def _pairs(self) -> Iterator[tuple[Var, Var]]:
        group = self.param_groups[0]
        return zip(group["average"], group["params"], strict=True)
