#include "fused_conv_op.h"
#include "onednn_common.h"

namespace jittor {
using namespace onednn;

FusedConvOp::FusedConvOp(Var* x, Var* weights, Var* bias, string spec)
    : x(x), weights(weights), bias(bias), residual(nullptr), spec(spec) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, x->dtype());
}

FusedConvOp::FusedConvOp(Var* x, Var* weights, Var* bias, Var* residual, string spec)
    : x(x), weights(weights), bias(bias), residual(residual), spec(spec) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, x->dtype());
}

void FusedConvOp::infer_shape() {
    ConvSpec conv(spec);
    check_float(x, "the input", conv.bf16);
    auto& shape = x->shape;
    ASSERT((int)shape.size() == conv.dimensions + 2)
        << "the input must be channels-last with" << conv.dimensions << "spatial axes, not" << shape;
    ASSERT(shape[conv.dimensions + 1] == conv.inputs * conv.groups)
        << "the input has other channels than the weights:" << shape << spec;
    NanoVector out;
    out.push_back(shape[0]);
    for (int i = 0; i < conv.dimensions; i++) out.push_back(conv.out_size(i, shape[1 + i]));
    out.push_back(conv.outputs);
    y->set_shape(out);
    if (conv.residual == ConvSpec::none) return;
    check_float(residual, "the residual", conv.bf16);
    ASSERT(residual->shape == out) << "the residual must have the output's shape" << out;
    if (conv.residual == ConvSpec::overwritten) y->share_with(residual);
}

struct PreparedConv {
    dnnl::convolution_forward primitive;
    Arguments arguments;
};

static constexpr int residual_argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;

static PreparedConv* prepare(const ConvSpec& conv, const Dims& input, int64 packed_floats) {
    auto description = conv.primitive(input);
    ASSERT((int64)((description.weights_desc().get_size() + 3) / 4) == packed_floats)
        << "the weights were packed for another layout";
    auto* made = new PreparedConv();
    made->primitive = dnnl::convolution_forward(description);
    auto unset = [&](const memory::desc& what) { return memory(what, engine(), DNNL_MEMORY_NONE); };
    made->arguments[DNNL_ARG_SRC] = unset(description.src_desc());
    made->arguments[DNNL_ARG_WEIGHTS] = unset(description.weights_desc());
    made->arguments[DNNL_ARG_BIAS] = unset(description.bias_desc());
    made->arguments[DNNL_ARG_DST] = unset(description.dst_desc());
    if (conv.residual == ConvSpec::added)
        made->arguments[residual_argument] = unset(description.dst_desc());
    return made;
}

void FusedConvOp::run() {
    static Cache<PreparedConv> cache;
    ConvSpec conv(spec);
    Dims input = channels_first_dims(x, conv.dimensions);
    auto& prepared = cache.at(spec + "|" + joined(input));
    if (!prepared) prepared.reset(prepare(conv, input, weights->num));
    auto& arguments = prepared->arguments;
    arguments[DNNL_ARG_SRC].set_data_handle(x->mem_ptr);
    arguments[DNNL_ARG_WEIGHTS].set_data_handle(weights->mem_ptr);
    arguments[DNNL_ARG_BIAS].set_data_handle(bias->mem_ptr);
    arguments[DNNL_ARG_DST].set_data_handle(y->mem_ptr);
    if (conv.residual == ConvSpec::added)
        arguments[residual_argument].set_data_handle(residual->mem_ptr);
    prepared->primitive.execute(stream(), arguments);
    stream().wait();
}

}  // namespace jittor
