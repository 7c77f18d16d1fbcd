#pragma once
#include "op.h"

namespace jittor {

// How much joints have to do with each other: queries_keys [N, T, V, 2 S K] (the S queries, then
// the S keys) -> scores [N, S, V, V] with scores_s[v, u] = <q_s[v], k_s[u]> / (K T), where <,> runs
// over time and the K channels. V is at most 32.
struct GraphScoresOp : Op {
    Var* queries_keys;
    Var* scores;
    int subsets;
    GraphScoresOp(Var* queries_keys, int subsets);
    const char* name() const override { return "graph_scores"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
