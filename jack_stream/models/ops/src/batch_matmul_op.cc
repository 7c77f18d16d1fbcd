#include "batch_matmul_op.h"
#include "onednn_common.h"

namespace jittor {
using namespace onednn;

BatchMatmulOp::BatchMatmulOp(Var* a, Var* b, int a_transposed, int b_transposed)
    : a(a), b(b), a_transposed(a_transposed), b_transposed(b_transposed) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, a->dtype());
}

void BatchMatmulOp::infer_shape() {
    check_float(a, "the left operand");
    check_float(b, "the right operand");
    auto &s = a->shape, &t = b->shape;
    ASSERT(s.size() == 3 && t.size() == 3 && s[0] == t[0]) << "matmul of" << s << "and" << t;
    int64 inner = a_transposed ? s[1] : s[2];
    ASSERT(inner == (b_transposed ? t[2] : t[1])) << "matmul of" << s << "and" << t;
    y->set_shape(NanoVector(s[0], a_transposed ? s[2] : s[1], b_transposed ? t[1] : t[2]));
}

struct PreparedMatmul {
    dnnl::matmul primitive;
    Arguments arguments;
};

static memory::desc matrices(int64 batch, int64 rows, int64 columns, bool transposed) {
    Dims strides = transposed ? Dims{rows * columns, 1, rows} : Dims{rows * columns, columns, 1};
    return memory::desc({batch, rows, columns}, memory::data_type::f32, strides);
}

void BatchMatmulOp::run() {
    static Cache<PreparedMatmul> cache;
    int64 batch = y->shape[0], m = y->shape[1], n = y->shape[2];
    int64 k = a_transposed ? a->shape[1] : a->shape[2];
    auto& prepared = cache.at(joined({batch, m, n, k, a_transposed, b_transposed}));
    if (!prepared) {
        auto left = matrices(batch, m, k, a_transposed), right = matrices(batch, k, n, b_transposed);
        auto product = matrices(batch, m, n, false);
        prepared.reset(new PreparedMatmul());
        prepared->primitive = dnnl::matmul({dnnl::matmul::desc(left, right, product), engine()});
        prepared->arguments[DNNL_ARG_SRC] = memory(left, engine(), DNNL_MEMORY_NONE);
        prepared->arguments[DNNL_ARG_WEIGHTS] = memory(right, engine(), DNNL_MEMORY_NONE);
        prepared->arguments[DNNL_ARG_DST] = memory(product, engine(), DNNL_MEMORY_NONE);
    }
    prepared->arguments[DNNL_ARG_SRC].set_data_handle(a->mem_ptr);
    prepared->arguments[DNNL_ARG_WEIGHTS].set_data_handle(b->mem_ptr);
    prepared->arguments[DNNL_ARG_DST].set_data_handle(y->mem_ptr);
    prepared->primitive.execute(stream(), prepared->arguments);
    stream().wait();
}

}  // namespace jittor
