#pragma once
#include "op.h"

namespace jittor {

// op(a) op(b) for every element of a batch: [B, M, K] x [B, K, N] -> [B, M, N] in float32. An operand
// that is marked as transposed is stored with its last two axes exchanged.
struct BatchMatmulOp : Op {
    Var* a;
    Var* b;
    Var* y;
    int a_transposed, b_transposed;
    BatchMatmulOp(Var* a, Var* b, int a_transposed, int b_transposed);
    const char* name() const override { return "batch_matmul"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
