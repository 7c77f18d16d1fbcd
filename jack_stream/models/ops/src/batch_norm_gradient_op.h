#pragma once
#include "op.h"

namespace jittor {

// The gradients of batch_norm: those of x, weight and bias from that of y. Where it ended in a ReLU
// (relu), y says where gradients pass; the gradient behind the ReLU is the fourth output then, which
// is also the residual's.
struct BatchNormGradientOp : Op {
    Var* gradient;
    Var* x;
    Var* y;
    Var* weight;
    Var* mean;
    Var* variance;
    Var* x_gradient;
    Var* weight_gradient;
    Var* bias_gradient;
    Var* passed;
    float64 eps;
    int relu, residual;
    // Jittor reads constructors that stand in one line.
    // @attrs(multiple_outputs)
    BatchNormGradientOp(Var* gradient, Var* x, Var* y, Var* weight, Var* mean, Var* variance, float64 eps, int relu, int residual);
    const char* name() const override { return "batch_norm_gradient"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
