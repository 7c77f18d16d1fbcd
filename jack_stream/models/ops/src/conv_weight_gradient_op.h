#pragma once
#include "op.h"

namespace jittor {

// The gradient of a convolution's weights, [O, I / groups, kernel...], from its input and the
// gradient of its output, both channels-last [N, spatial..., C].
struct ConvWeightGradientOp : Op {
    Var* x;
    Var* gradient;
    Var* result;
    string spec;
    ConvWeightGradientOp(Var* x, Var* gradient, string spec);
    const char* name() const override { return "conv_weight_gradient"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
