// What the operators share: oneDNN's engine, the descriptions of convolutions, bounded caches.
#pragma once
#include <dnnl.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>
#include "var.h"

namespace jittor {
namespace onednn {

using dnnl::memory;
using Dims = memory::dims;
using Arguments = std::unordered_map<int, memory>;

inline dnnl::engine& engine() {
    static dnnl::engine* one = new dnnl::engine(dnnl::engine::kind::cpu, 0);
    return *one;
}

inline dnnl::stream& stream() {
    static dnnl::stream* one = new dnnl::stream(engine());
    return *one;
}

inline std::vector<int> integers(const string& text) {
    std::vector<int> values;
    const char* at = text.c_str();
    while (*at) {
        char* end;
        long value = strtol(at, &end, 10);
        if (end == at) {
            at++;
            continue;
        }
        values.push_back((int)value);
        at = end;
    }
    return values;
}

inline string joined(const Dims& values) {
    string text;
    for (auto value : values) text += std::to_string(value) + ",";
    return text;
}

inline memory::format_tag channels_last(int dimensions) {
    using tag = memory::format_tag;
    return dimensions == 1 ? tag::nwc : dimensions == 2 ? tag::nhwc : tag::ndhwc;
}

// float32, or bfloat16 in Vars of two bytes per element.
inline memory::data_type type_of(Var* x) {
    return x->dtype().dsize() == 2 ? memory::data_type::bf16 : memory::data_type::f32;
}

// The operators read memory as it is: another type would be read as nonsense.
inline void check_float(Var* x, const char* what, bool bf16 = false) {
    ASSERT(x->dtype() == (bf16 ? ns_bfloat16 : ns_float32))
        << what << "must be" << (bf16 ? "bfloat16" : "float32") << "not" << x->dtype();
}

// oneDNN names the axes of a channels-last [N, spatial..., C] in the order N, C, spatial...
inline Dims channels_first_dims(Var* x, int dimensions) {
    auto& shape = x->shape;
    Dims dims = {shape[0], shape[dimensions + 1]};
    for (int i = 0; i < dimensions; i++) dims.push_back(shape[1 + i]);
    return dims;
}

// Compiled primitives by their description. Every input shape makes its own; a stream of ever new
// shapes must not fill the memory, so a full cache starts over.
template <class T>
struct Cache {
    static constexpr size_t limit = 2048;
    std::unordered_map<string, std::unique_ptr<T>> entries;

    std::unique_ptr<T>& at(const string& key) {
        if (entries.size() >= limit && !entries.count(key)) entries.clear();
        return entries[key];
    }
};

// A convolution: dimensions, groups, relu, residual, bfloat16, output channels, input channels per
// group, then per axis the kernel, the strides, the dilations, the margins before, the margins after.
struct ConvSpec {
    enum Residual { none = 0, added = 1, overwritten = 2 };
    int dimensions, groups, relu, residual, bf16, outputs, inputs;
    int kernel[3], stride[3], dilation[3], before[3], after[3];

    explicit ConvSpec(const string& text) {
        auto v = integers(text);
        ASSERT(v.size() >= 7 && (int)v.size() == 7 + 5 * v[0]) << "bad convolution spec" << text;
        dimensions = v[0], groups = v[1], relu = v[2], residual = v[3], bf16 = v[4];
        outputs = v[5], inputs = v[6];
        int* lists[] = {kernel, stride, dilation, before, after};
        for (int list = 0; list < 5; list++)
            for (int i = 0; i < dimensions; i++) lists[list][i] = v[7 + list * dimensions + i];
    }

    int64 out_size(int axis, int64 size) const {
        int64 reach = (int64)(kernel[axis] - 1) * dilation[axis] + 1;
        return (size + before[axis] + after[axis] - reach) / stride[axis] + 1;
    }

    memory::data_type type() const { return bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

    Dims weight_dims() const {
        Dims dims = groups > 1 ? Dims{groups, outputs / groups, inputs} : Dims{outputs, inputs};
        for (int i = 0; i < dimensions; i++) dims.push_back(kernel[i]);
        return dims;
    }

    memory::format_tag plain_weight_tag() const {
        using tag = memory::format_tag;
        bool g = groups > 1;
        if (dimensions == 1) return g ? tag::goiw : tag::oiw;
        if (dimensions == 2) return g ? tag::goihw : tag::oihw;
        return g ? tag::goidhw : tag::oidhw;
    }

    Dims output_dims(const Dims& input) const {
        Dims output = {input[0], outputs};
        for (int i = 0; i < dimensions; i++) output.push_back(out_size(i, input[2 + i]));
        return output;
    }

    memory::desc map(const Dims& dims) const { return {dims, type(), channels_last(dimensions)}; }

    memory::desc any_weights() const { return {weight_dims(), type(), memory::format_tag::any}; }

    Dims axes(const int* values, int minus = 0) const {
        Dims list;
        for (int i = 0; i < dimensions; i++) list.push_back(values[i] - minus);
        return list;
    }

    // The primitive for an input of these dims; it chooses the layout of its weights.
    dnnl::convolution_forward::primitive_desc primitive(const Dims& input) const {
        auto source = map(input), target = map(output_dims(input));
        memory::desc bias({outputs}, memory::data_type::f32, memory::format_tag::a);
        dnnl::post_ops then;
        if (residual == added) then.append_binary(dnnl::algorithm::binary_add, target);
        if (residual == overwritten) then.append_sum(1.f);
        if (relu) then.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
        dnnl::primitive_attr attributes;
        attributes.set_post_ops(then);
        dnnl::convolution_forward::desc operation(
            dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, source,
            any_weights(), bias, target, axes(stride), axes(dilation, 1), axes(before), axes(after));
        return dnnl::convolution_forward::primitive_desc(operation, attributes, engine());
    }

    // What oneDNN wants to see before it goes backward.
    dnnl::convolution_forward::primitive_desc hint(const Dims& input) const {
        dnnl::convolution_forward::desc operation(
            dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, map(input),
            any_weights(), map(output_dims(input)), axes(stride), axes(dilation, 1), axes(before),
            axes(after));
        return dnnl::convolution_forward::primitive_desc(operation, engine());
    }
};

}  // namespace onednn
}  // namespace jittor
