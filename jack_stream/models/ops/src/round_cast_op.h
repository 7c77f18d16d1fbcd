#pragma once
#include "op.h"

namespace jittor {

// float32 <-> bfloat16, rounded to the nearest (Jittor's own conversion on the CPU truncates).
struct RoundCastOp : Op {
    Var* x;
    Var* y;
    RoundCastOp(Var* x, NanoString dtype);
    const char* name() const override { return "round_cast"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
