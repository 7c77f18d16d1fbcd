#pragma once
#include "op.h"

namespace jittor {

// The gradient of pool_last's input x, channels-last [N, spatial..., C], from that of its output. Of
// equal values in a window the first has it all.
struct PoolGradientOp : Op {
    Var* x;
    Var* gradient;
    Var* result;
    string spec;
    PoolGradientOp(Var* x, Var* gradient, string spec);
    const char* name() const override { return "pool_gradient"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
