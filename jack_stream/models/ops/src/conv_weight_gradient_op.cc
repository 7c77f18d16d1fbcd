#include "conv_weight_gradient_op.h"
#include "executor.h"
#include "onednn_common.h"

namespace jittor {
using namespace onednn;

ConvWeightGradientOp::ConvWeightGradientOp(Var* x, Var* gradient, string spec)
    : x(x), gradient(gradient), spec(spec) {
    flags.set(NodeFlags::_cpu);
    result = create_output(nullptr, x->dtype());
}

void ConvWeightGradientOp::infer_shape() {
    ConvSpec conv(spec);
    check_float(x, "the input");
    check_float(gradient, "the gradient");
    NanoVector shape;
    shape.push_back(conv.outputs);
    shape.push_back(conv.inputs);
    for (int i = 0; i < conv.dimensions; i++) shape.push_back(conv.kernel[i]);
    result->set_shape(shape);
}

struct PreparedWeightGradient {
    dnnl::convolution_backward_weights primitive;
    dnnl::reorder unpack;
    memory x, gradient, packed, result;
};

static PreparedWeightGradient* prepare(const ConvSpec& conv, const Dims& input) {
    using Backward = dnnl::convolution_backward_weights;
    Backward::desc operation(
        dnnl::algorithm::convolution_direct, conv.map(input), conv.any_weights(),
        conv.map(conv.output_dims(input)), conv.axes(conv.stride), conv.axes(conv.dilation, 1),
        conv.axes(conv.before), conv.axes(conv.after));
    Backward::primitive_desc chosen(operation, engine(), conv.hint(input));
    memory::desc plain(conv.weight_dims(), conv.type(), conv.plain_weight_tag());
    auto* made = new PreparedWeightGradient();
    made->primitive = Backward(chosen);
    made->x = memory(chosen.src_desc(), engine(), DNNL_MEMORY_NONE);
    made->gradient = memory(chosen.diff_dst_desc(), engine(), DNNL_MEMORY_NONE);
    made->packed = memory(chosen.diff_weights_desc(), engine(), DNNL_MEMORY_NONE);
    made->result = memory(plain, engine(), DNNL_MEMORY_NONE);
    made->unpack = dnnl::reorder(made->packed, made->result);
    return made;
}

void ConvWeightGradientOp::run() {
    static Cache<PreparedWeightGradient> cache;
    ConvSpec conv(spec);
    Dims input = channels_first_dims(x, conv.dimensions);
    auto& prepared = cache.at(spec + "|" + joined(input));
    if (!prepared) prepared.reset(prepare(conv, input));
    Allocation packed(exe.temp_allocator, prepared->packed.get_desc().get_size());
    prepared->x.set_data_handle(x->mem_ptr);
    prepared->gradient.set_data_handle(gradient->mem_ptr);
    prepared->packed.set_data_handle(packed.ptr);
    prepared->result.set_data_handle(result->mem_ptr);
    prepared->primitive.execute(stream(), {{DNNL_ARG_SRC, prepared->x},
                                           {DNNL_ARG_DIFF_DST, prepared->gradient},
                                           {DNNL_ARG_DIFF_WEIGHTS, prepared->packed}});
    prepared->unpack.execute(stream(), prepared->packed, prepared->result);
    stream().wait();
}

}  // namespace jittor
