#pragma once
#include "op.h"

namespace jittor {

// Channels first [N, C, spatial...] to channels last [N, spatial..., C], or back, and float32 to
// bfloat16 or back on the way, rounded to the nearest (Jittor's own conversion truncates).
struct RelayoutOp : Op {
    Var* x;
    Var* y;
    int to_last;
    RelayoutOp(Var* x, int to_last, NanoString dtype);
    const char* name() const override { return "relayout"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
