#pragma once
#include "op.h"

namespace jittor {

// The adaptive aggregation of a 2s-AGCN unit over channels-last joints, S subsets at once.
//
// x [N, T, V, C], queries_keys [N, T, V, 2 S K] (the S queries, then the S keys), adjacency [S, V, V]
// -> y [N, T, V, S C] with y_s[u] = sum_v x[v] (softmax_v(<q_s[v], k_s[u]> / (K T)) + adjacency_s)[v, u]
// where <,> runs over time and the K channels. V is at most 32.
struct GraphAttentionOp : Op {
    Var* x;
    Var* queries_keys;
    Var* adjacency;
    Var* y;
    int subsets;
    GraphAttentionOp(Var* x, Var* queries_keys, Var* adjacency, int subsets);
    const char* name() const override { return "graph_attention"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
