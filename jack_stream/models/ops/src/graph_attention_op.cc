#include "graph_attention_op.h"
#include "graph_joints.h"
#include "var.h"

namespace jittor {

GraphAttentionOp::GraphAttentionOp(Var* x, Var* queries_keys, Var* adjacency, int subsets)
    : x(x), queries_keys(queries_keys), adjacency(adjacency), subsets(subsets) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, x->dtype());
}

void GraphAttentionOp::infer_shape() {
    for (Var* input : {x, queries_keys, adjacency})
        ASSERT(input->dtype() == ns_float32) << "graph attention of" << input->dtype();
    auto &s = x->shape, &t = queries_keys->shape, &a = adjacency->shape;
    ASSERT(s.size() == 4 && t.size() == 4 && s[0] == t[0] && s[1] == t[1] && s[2] == t[2])
        << "graph attention of" << s << "and" << t;
    ASSERT(s[2] <= most_joints) << "graph attention takes at most 32 joints, not" << s[2];
    ASSERT(t[3] % (2 * subsets) == 0) << "queries and keys of" << subsets << "subsets in" << t;
    ASSERT(a.size() == 3 && a[0] == subsets && a[1] == s[2] && a[2] == s[2]) << "adjacency" << a;
    y->set_shape(NanoVector(s[0], s[1], s[2], s[3] * subsets));
}

void GraphAttentionOp::run() {
    auto& shape = x->shape;
    const Sizes z = {(int)shape[0], (int)shape[1], (int)shape[2], (int)shape[3], subsets,
                     (int)queries_keys->shape[3] / (2 * subsets)};
    const float* from = x->ptr<float>();
    const float* qk = queries_keys->ptr<float>();
    const float* fixed = adjacency->ptr<float>();
    float* to = y->ptr<float>();
    std::vector<float> weights((size_t)z.n * z.s * z.v * z.v);
    #pragma omp parallel
    {
        all_scores(qk, z, weights.data());
        gather_all(from, weights.data(), fixed, to, z);
    }
}

}  // namespace jittor
