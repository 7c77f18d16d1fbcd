"""Adam as PyTorch steps it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jack_stream.models.ops import operators, usable
from jack_stream.runtime import jittor

__all__ = ["Adam"]

jt = jittor()
Var = Any


_JittorAdam: Any = jt.optim.Adam


class Adam(_JittorAdam):
    """Jittor's Adam with ``eps`` added where PyTorch adds it.

    Jittor adds it to the root of the second moment before its bias is corrected, which in the
    first step counts for 32 times as much: parameters with small gradients (those of attention
    above all) would hardly move.

    Args:
        parameters: what is trained; or groups of it, ``{"params": [...], "lr_factor": 10.0}``,
            whose learning rate is a multiple of ``lr``, whatever becomes of that.
        lr: learning rate.
        weight_decay: added to the gradient as a share of the parameter.
        eps: keeps a step finite where there is no gradient.
    """

    def __init__(
        self,
        parameters: Sequence[Var] | Sequence[dict[str, Any]],
        lr: float,
        *,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(list(parameters), lr, weight_decay=weight_decay)
        self._eps = eps

    def pre_step(self, loss: Var, retain_graph: bool = False) -> None:
        """What ``step`` does first: the gradients, the count of steps, and so ``eps`` and rates."""
        super().pre_step(loss, retain_graph)
        for group in self.param_groups:
            group["lr"] = self.lr * group.get("lr_factor", 1.0)
        self.eps = self._eps * math.sqrt(1.0 - self.betas[1] ** self.n_step)

    def step(self, loss: Var | None = None, retain_graph: bool = False) -> None:
        """Jittor's step; on the CPU in one operator per parameter instead of fifteen."""
        if not usable():
            super().step(loss, retain_graph)
            return
        self.pre_step(loss, retain_graph)
        b0, b1 = self.betas
        correction = math.sqrt(1 - b1**self.n_step) / (1 - b0**self.n_step)
        for group in self.param_groups:
            settings = (group["lr"] * correction, self.weight_decay, b0, b1, self.eps)
            states = (group[name] for name in ("params", "grads", "m", "values"))
            for p, g, m, v in zip(*states, strict=True):
                if not p.is_stop_grad():
                    stepped = operators().adam(p, g, m, v, *settings)
                    for held, value in zip((p, m, v), stepped, strict=True):
                        held.update(value)
        self.post_step()
