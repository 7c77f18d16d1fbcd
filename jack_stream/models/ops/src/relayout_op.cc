#include "relayout_op.h"
#include "onednn_common.h"

namespace jittor {
using namespace onednn;

RelayoutOp::RelayoutOp(Var* x, int to_last, NanoString dtype) : x(x), to_last(to_last) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, dtype);
}

void RelayoutOp::infer_shape() {
    check_float(x, "the input", x->dtype() == ns_bfloat16);
    auto& from = x->shape;
    int axes = from.size();
    ASSERT(axes >= 3) << "a map has at least one spatial axis, not" << from;
    NanoVector to;
    to.push_back(from[0]);
    if (!to_last) to.push_back(from[axes - 1]);
    for (int i = to_last ? 2 : 1; i < (to_last ? axes : axes - 1); i++) to.push_back(from[i]);
    if (to_last) to.push_back(from[1]);
    y->set_shape(to);
}

struct PreparedReorder {
    memory from, to;
    dnnl::reorder primitive;
};

// The spatial axes stay together, so each element of the batch is one transposed matrix.
void RelayoutOp::run() {
    static Cache<PreparedReorder> cache;
    int64 n = x->shape[0], c = to_last ? x->shape[1] : x->shape[x->shape.size() - 1];
    if (x->num == 0) return;
    int64 points = x->num / (n * c);
    auto& prepared = cache.at(joined({n, c, points, to_last, (int64)type_of(x), (int64)type_of(y)}));
    if (!prepared) {
        using tag = memory::format_tag;
        memory::desc from({n, c, points}, type_of(x), to_last ? tag::ncw : tag::nwc);
        memory::desc to({n, c, points}, type_of(y), to_last ? tag::nwc : tag::ncw);
        prepared.reset(new PreparedReorder());
        prepared->from = memory(from, engine(), DNNL_MEMORY_NONE);
        prepared->to = memory(to, engine(), DNNL_MEMORY_NONE);
        prepared->primitive = dnnl::reorder(prepared->from, prepared->to);
    }
    prepared->from.set_data_handle(x->mem_ptr);
    prepared->to.set_data_handle(y->mem_ptr);
    prepared->primitive.execute(stream(), prepared->from, prepared->to);
    stream().wait();
}

}  // namespace jittor
