#pragma once
#include "op.h"

namespace jittor {

// A step of Adam on one parameter of any shape: its new value and new moments. rate is the learning
// rate with both corrections of bias in it; decay is the share of the parameter that is added to the
// gradient.
struct AdamOp : Op {
    Var* parameter;
    Var* gradient;
    Var* first;
    Var* second;
    Var* new_parameter;
    Var* new_first;
    Var* new_second;
    float64 rate, decay, beta0, beta1, eps;
    // Jittor reads constructors that stand in one line.
    // @attrs(multiple_outputs)
    AdamOp(Var* parameter, Var* gradient, Var* first, Var* second, float64 rate, float64 decay, float64 beta0, float64 beta1, float64 eps);
    const char* name() const override { return "adam"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
