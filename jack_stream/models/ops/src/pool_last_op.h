#pragma once
#include "op.h"

namespace jittor {

// Pooling over the spatial axes of channels-last [N, spatial..., C]. The spec: dimensions, kind
// (0 maximum, 1 mean with the margins counted, 2 mean without them), then per axis the kernel, the
// strides, the margins before and after. Margins are never a maximum.
struct PoolLastOp : Op {
    Var* x;
    Var* y;
    string spec;
    PoolLastOp(Var* x, string spec);
    const char* name() const override { return "pool_last"; }
    void infer_shape() override;
    void run() override;
};

}  // namespace jittor
