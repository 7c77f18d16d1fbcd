#pragma once
#include "op.h"

namespace jittor {

// Batch normalisation by the batch's own statistics over channels-last x [N, spatial..., C]:
// y = act(weight (x - mean) / sqrt(variance + eps) + bias [+ residual]), where act is ReLU or
// nothing. The variance is the biased one.
struct BatchNormOp : Op {
    Var* x;
    Var* weight;
    Var* bias;
    Var* residual;
    Var* y;
    Var* mean;
    Var* variance;
    float64 eps;
    int relu;
    // @attrs(multiple_outputs)
    BatchNormOp(Var* x, Var* weight, Var* bias, float64 eps, int relu);
    // @attrs(multiple_outputs)
    BatchNormOp(Var* x, Var* weight, Var* bias, Var* residual, float64 eps, int relu);
    const char* name() const override { return "batch_norm"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
