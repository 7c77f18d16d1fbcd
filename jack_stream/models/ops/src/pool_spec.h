// The description of a pooling; see pool_last_op.h.
#pragma once
#include "onednn_common.h"

namespace jittor {
namespace onednn {

struct PoolSpec {
    int dimensions, kind;
    Dims kernel, stride, before, after;

    explicit PoolSpec(const string& text) {
        auto v = integers(text);
        ASSERT(v.size() >= 2 && (int)v.size() == 2 + 4 * v[0]) << "bad pooling spec" << text;
        dimensions = v[0], kind = v[1];
        Dims* lists[] = {&kernel, &stride, &before, &after};
        for (int list = 0; list < 4; list++)
            for (int i = 0; i < dimensions; i++) lists[list]->push_back(v[2 + list * dimensions + i]);
    }

    dnnl::algorithm algorithm() const {
        if (kind == 0) return dnnl::algorithm::pooling_max;
        return kind == 1 ? dnnl::algorithm::pooling_avg_include_padding
                         : dnnl::algorithm::pooling_avg_exclude_padding;
    }

    dnnl::pooling_forward::primitive_desc primitive(
        dnnl::prop_kind purpose, const memory::desc& source, const memory::desc& target) const {
        dnnl::pooling_forward::desc operation(
            purpose, algorithm(), source, target, stride, kernel, before, after);
        return {operation, engine()};
    }
};

}  // namespace onednn
}  // namespace jittor
