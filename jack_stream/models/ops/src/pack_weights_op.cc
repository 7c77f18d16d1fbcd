#include "pack_weights_op.h"
#include "onednn_common.h"
#include "weights_layout.h"

namespace jittor {
using namespace onednn;

static memory::desc wanted(const string& spec, const string& input) {
    auto sizes = integers(input);
    return ConvSpec(spec).primitive(Dims(sizes.begin(), sizes.end())).weights_desc();
}

string weights_layout(const string& spec, const string& input) {
    auto description = wanted(spec, input);
    auto bytes = (const unsigned char*)&description.data;
    string name;
    const char* digits = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(description.data); i++) {
        name += digits[bytes[i] >> 4];
        name += digits[bytes[i] & 15];
    }
    return name;
}

PackWeightsOp::PackWeightsOp(Var* weights, string spec, string input)
    : weights(weights), spec(spec), input(input) {
    flags.set(NodeFlags::_cpu);
    packed = create_output(nullptr, ns_float32);
}

void PackWeightsOp::infer_shape() {
    check_float(weights, "the weights");
    packed->set_shape({(int64)((wanted(spec, input).get_size() + 3) / 4)});
}

void PackWeightsOp::run() {
    ConvSpec conv(spec);
    memory plain({conv.weight_dims(), memory::data_type::f32, conv.plain_weight_tag()}, engine(),
                 weights->mem_ptr);
    memory target(wanted(spec, input), engine(), packed->mem_ptr);
    dnnl::reorder(plain, target).execute(stream(), plain, target);
    stream().wait();
}

}  // namespace jittor
