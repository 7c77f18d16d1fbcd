#include "round_cast_op.h"
#include "onednn_common.h"

namespace jittor {
using namespace onednn;

RoundCastOp::RoundCastOp(Var* x, NanoString dtype) : x(x) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, dtype);
}

void RoundCastOp::infer_shape() { y->set_shape(x->shape); }

void RoundCastOp::run() {
    auto flat = [](Var* v) {
        return memory({{(memory::dim)v->num}, type_of(v), memory::format_tag::a}, engine(), v->mem_ptr);
    };
    memory source = flat(x), target = flat(y);
    dnnl::reorder(source, target).execute(stream(), source, target);
    stream().wait();
}

}  // namespace jittor
