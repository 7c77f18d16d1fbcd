#pragma once
#include "op.h"

namespace jittor {

// Weights [O, I / groups, kernel...] in the layout that the convolution wants for an input of these
// dims (N, C, spatial...), as a flat float32 Var that only fused_conv understands.
struct PackWeightsOp : Op {
    Var* weights;
    Var* packed;
    string spec, input;
    PackWeightsOp(Var* weights, string spec, string input);
    const char* name() const override { return "pack_weights"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
