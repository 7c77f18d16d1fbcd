#pragma once
#include "op.h"

namespace jittor {

// Aggregation over channels-last joints by given scores: x [N, T, V, C], scores [N, S, V, V],
// adjacency [S, V, V] -> y [N, T, V, S C] with
// y_s[u] = sum_v x[v] (softmax_v(scores_s[v, u]) + adjacency_s[v, u]). V is at most 32.
struct GraphGatherOp : Op {
    Var* x;
    Var* scores;
    Var* adjacency;
    Var* y;
    GraphGatherOp(Var* x, Var* scores, Var* adjacency);
    const char* name() const override { return "graph_gather"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
