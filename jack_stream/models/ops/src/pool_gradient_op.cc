#include "pool_gradient_op.h"
#include "executor.h"
#include "pool_spec.h"

namespace jittor {
using namespace onednn;

PoolGradientOp::PoolGradientOp(Var* x, Var* gradient, string spec)
    : x(x), gradient(gradient), spec(spec) {
    flags.set(NodeFlags::_cpu);
    result = create_output(nullptr, x->dtype());
}

void PoolGradientOp::infer_shape() {
    check_float(x, "the input");
    check_float(gradient, "the gradient");
    result->set_shape(x->shape);
}

struct PreparedPoolGradient {
    dnnl::pooling_forward forward;
    dnnl::pooling_backward backward;
    memory x, y, workspace, gradient, result;
};

static PreparedPoolGradient* prepare(const PoolSpec& pool, const Dims& input, const Dims& output) {
    auto tag = channels_last(pool.dimensions);
    auto type = memory::data_type::f32;
    memory::desc source(input, type, tag), target(output, type, tag);
    auto forward = pool.primitive(dnnl::prop_kind::forward_training, source, target);
    dnnl::pooling_backward::desc operation(pool.algorithm(), source, target, pool.stride, pool.kernel,
                                           pool.before, pool.after);
    auto* made = new PreparedPoolGradient();
    made->forward = dnnl::pooling_forward(forward);
    made->backward = dnnl::pooling_backward({operation, engine(), forward});
    auto unset = [&](const memory::desc& what) { return memory(what, engine(), DNNL_MEMORY_NONE); };
    made->x = unset(source), made->result = unset(source);
    made->y = unset(target), made->gradient = unset(target);
    made->workspace = unset(forward.workspace_desc());
    return made;
}

// Forward once more: that is faster than to keep where each maximum was.
void PoolGradientOp::run() {
    static Cache<PreparedPoolGradient> cache;
    PoolSpec pool(spec);
    Dims input = channels_first_dims(x, pool.dimensions);
    auto& prepared = cache.at(spec + "|" + joined(input));
    if (!prepared)
        prepared.reset(prepare(pool, input, channels_first_dims(gradient, pool.dimensions)));
    Allocation y(exe.temp_allocator, gradient->size);
    Allocation workspace(exe.temp_allocator, prepared->workspace.get_desc().get_size());
    prepared->x.set_data_handle(x->mem_ptr);
    prepared->y.set_data_handle(y.ptr);
    prepared->workspace.set_data_handle(workspace.ptr);
    prepared->gradient.set_data_handle(gradient->mem_ptr);
    prepared->result.set_data_handle(result->mem_ptr);
    prepared->forward.execute(stream(), {{DNNL_ARG_SRC, prepared->x},
                                         {DNNL_ARG_DST, prepared->y},
                                         {DNNL_ARG_WORKSPACE, prepared->workspace}});
    prepared->backward.execute(stream(), {{DNNL_ARG_DIFF_DST, prepared->gradient},
                                          {DNNL_ARG_WORKSPACE, prepared->workspace},
                                          {DNNL_ARG_DIFF_SRC, prepared->result}});
    stream().wait();
}

}  // namespace jittor
