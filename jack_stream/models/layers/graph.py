"""The adaptive aggregation of a 2s-AGCN unit."""

from __future__ import annotations

from typing import Any

from jack_stream.models.layers.arrays import softmax
from jack_stream.models.layers.linear import matmul
from jack_stream.models.ops import operators, usable
from jack_stream.runtime import jittor

__all__ = ["graph_attention"]

jt = jittor()
Var = Any


def graph_attention(x: Var, queries: Var, keys: Var, adjacency: Var) -> Var:
    """Joints that take up from each other what a learned and a data-dependent graph says.

    y_s[u] = sum_v x[v] (softmax_v(<q_s[v], k_s[u]> / (K T)) + adjacency_s)[v, u], where <,> runs
    over time and the K channels (Shi et al., CVPR 2019, eq. 3).

    Channels-last throughout. One fused operator under ``jt.no_grad()`` on the CPU, else composed
    of differentiable products.

    Args:
        x: [N, T, V, C].
        queries: [N, T, V, S, K], S subsets.
        keys: [N, T, V, S, K].
        adjacency: [S, V, V], the fixed and the learned part together.

    Returns:
        [N, T, V, S, C].
    """
    n, t, v, c = x.shape
    s, k = queries.shape[3:]
    if jt.flags.no_grad and usable():
        both = jt.concat([queries.reshape(n, t, v, s * k), keys.reshape(n, t, v, s * k)], -1)
        return operators().graph_attention(x, both, adjacency, s).reshape(n, t, v, s, c)
    by_subset = [part.transpose(0, 3, 2, 1, 4).reshape(n, s, v, t * k) for part in (queries, keys)]
    scores = matmul(by_subset[0], by_subset[1], b_transposed=True) / (k * t)
    graph = softmax(scores, 2) + adjacency.unsqueeze(0)
    flat = x.transpose(0, 2, 1, 3).reshape(n, 1, v, t * c).expand(n, s, v, t * c)
    gathered = matmul(graph, flat, a_transposed=True)
    return gathered.reshape(n, s, v, t, c).transpose(0, 3, 2, 1, 4)
