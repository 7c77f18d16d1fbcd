#pragma once
#include "op.h"

namespace jittor {

// The gradient of a convolution's input, channels-last [N, spatial..., C], from that of its output.
// weights are plain, [O, I / groups, kernel...]; input names the dims (N, C, spatial...).
struct ConvInputGradientOp : Op {
    Var* gradient;
    Var* weights;
    Var* result;
    string spec, input;
    ConvInputGradientOp(Var* gradient, Var* weights, string spec, string input);
    const char* name() const override { return "conv_input_gradient"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
