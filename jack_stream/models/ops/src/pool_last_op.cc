#include "pool_last_op.h"
#include "pool_spec.h"

namespace jittor {
using namespace onednn;

PoolLastOp::PoolLastOp(Var* x, string spec) : x(x), spec(spec) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, x->dtype());
}

void PoolLastOp::infer_shape() {
    PoolSpec pool(spec);
    check_float(x, "the input", x->dtype() == ns_bfloat16);
    auto& shape = x->shape;
    ASSERT((int)shape.size() == pool.dimensions + 2)
        << "the input must be channels-last with" << pool.dimensions << "spatial axes, not" << shape;
    NanoVector out;
    out.push_back(shape[0]);
    for (int i = 0; i < pool.dimensions; i++) {
        int64 room = shape[1 + i] + pool.before[i] + pool.after[i] - pool.kernel[i];
        ASSERT(room >= 0) << "the pooling kernel is larger than the map" << shape << spec;
        out.push_back(room / pool.stride[i] + 1);
    }
    out.push_back(shape[pool.dimensions + 1]);
    y->set_shape(out);
}

struct PreparedPool {
    dnnl::pooling_forward primitive;
    Arguments arguments;
};

void PoolLastOp::run() {
    static Cache<PreparedPool> cache;
    PoolSpec pool(spec);
    Dims input = channels_first_dims(x, pool.dimensions);
    auto type = type_of(x);
    auto& prepared = cache.at(spec + "|" + joined(input) + (type == memory::data_type::bf16 ? "b" : "f"));
    if (!prepared) {
        auto tag = channels_last(pool.dimensions);
        memory::desc source(input, type, tag), target(channels_first_dims(y, pool.dimensions), type, tag);
        prepared.reset(new PreparedPool());
        prepared->primitive =
            dnnl::pooling_forward(pool.primitive(dnnl::prop_kind::forward_inference, source, target));
        prepared->arguments[DNNL_ARG_SRC] = memory(source, engine(), DNNL_MEMORY_NONE);
        prepared->arguments[DNNL_ARG_DST] = memory(target, engine(), DNNL_MEMORY_NONE);
    }
    prepared->arguments[DNNL_ARG_SRC].set_data_handle(x->mem_ptr);
    prepared->arguments[DNNL_ARG_DST].set_data_handle(y->mem_ptr);
    prepared->primitive.execute(stream(), prepared->arguments);
    stream().wait();
}

}  // namespace jittor
