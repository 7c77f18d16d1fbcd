#include "conv_input_gradient_op.h"
#include "executor.h"
#include "onednn_common.h"

namespace jittor {
using namespace onednn;

ConvInputGradientOp::ConvInputGradientOp(Var* gradient, Var* weights, string spec, string input)
    : gradient(gradient), weights(weights), spec(spec), input(input) {
    flags.set(NodeFlags::_cpu);
    result = create_output(nullptr, gradient->dtype());
}

void ConvInputGradientOp::infer_shape() {
    check_float(gradient, "the gradient");
    check_float(weights, "the weights");
    auto dims = integers(input);
    NanoVector shape;
    shape.push_back(dims[0]);
    for (size_t i = 2; i < dims.size(); i++) shape.push_back(dims[i]);
    shape.push_back(dims[1]);
    result->set_shape(shape);
}

struct PreparedInputGradient {
    dnnl::convolution_backward_data primitive;
    dnnl::reorder pack;
    memory plain, packed, gradient, result;
};

static PreparedInputGradient* prepare(const ConvSpec& conv, const Dims& input) {
    using Backward = dnnl::convolution_backward_data;
    Backward::desc operation(
        dnnl::algorithm::convolution_direct, conv.map(input), conv.any_weights(),
        conv.map(conv.output_dims(input)), conv.axes(conv.stride), conv.axes(conv.dilation, 1),
        conv.axes(conv.before), conv.axes(conv.after));
    Backward::primitive_desc chosen(operation, engine(), conv.hint(input));
    memory::desc plain(conv.weight_dims(), conv.type(), conv.plain_weight_tag());
    auto* made = new PreparedInputGradient();
    made->primitive = Backward(chosen);
    made->plain = memory(plain, engine(), DNNL_MEMORY_NONE);
    made->packed = memory(chosen.weights_desc(), engine(), DNNL_MEMORY_NONE);
    made->pack = dnnl::reorder(made->plain, made->packed);
    made->gradient = memory(chosen.diff_dst_desc(), engine(), DNNL_MEMORY_NONE);
    made->result = memory(chosen.diff_src_desc(), engine(), DNNL_MEMORY_NONE);
    return made;
}

void ConvInputGradientOp::run() {
    static Cache<PreparedInputGradient> cache;
    auto& prepared = cache.at(spec + "|" + input);
    if (!prepared) {
        auto dims = integers(input);
        prepared.reset(prepare(ConvSpec(spec), Dims(dims.begin(), dims.end())));
    }
    Allocation packed(exe.temp_allocator, prepared->packed.get_desc().get_size());
    prepared->plain.set_data_handle(weights->mem_ptr);
    prepared->packed.set_data_handle(packed.ptr);
    prepared->gradient.set_data_handle(gradient->mem_ptr);
    prepared->result.set_data_handle(result->mem_ptr);
    prepared->pack.execute(stream(), prepared->plain, prepared->packed);
    prepared->primitive.execute(stream(), {{DNNL_ARG_DIFF_DST, prepared->gradient},
                                           {DNNL_ARG_WEIGHTS, prepared->packed},
                                           {DNNL_ARG_DIFF_SRC, prepared->result}});
    stream().wait();
}

}  // namespace jittor
