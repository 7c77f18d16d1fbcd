#pragma once
#include "op.h"

namespace jittor {

// y = act(conv(x, weights) + bias [+ residual]) over channels-last [N, spatial..., C].
// weights come from pack_weights; act is ReLU or nothing, as the spec says. Where the spec says
// that the residual is overwritten, y takes its memory: nothing may read the residual afterwards.
struct FusedConvOp : Op {
    Var* x;
    Var* weights;
    Var* bias;
    Var* residual;
    Var* y;
    string spec;
    FusedConvOp(Var* x, Var* weights, Var* bias, string spec);
    FusedConvOp(Var* x, Var* weights, Var* bias, Var* residual, string spec);
    const char* name() const override { return "fused_conv"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
