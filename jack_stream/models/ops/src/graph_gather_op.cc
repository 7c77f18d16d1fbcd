#include "graph_gather_op.h"
#include "graph_joints.h"
#include "var.h"

namespace jittor {

GraphGatherOp::GraphGatherOp(Var* x, Var* scores, Var* adjacency)
    : x(x), scores(scores), adjacency(adjacency) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, x->dtype());
}

void GraphGatherOp::infer_shape() {
    for (Var* input : {x, scores, adjacency})
        ASSERT(input->dtype() == ns_float32) << "graph gather of" << input->dtype();
    auto &s = x->shape, &w = scores->shape, &a = adjacency->shape;
    ASSERT(s.size() == 4 && w.size() == 4 && s[0] == w[0] && s[2] == w[2] && s[2] == w[3])
        << "graph gather of" << s << "by" << w;
    ASSERT(s[2] <= most_joints) << "graph gather takes at most 32 joints, not" << s[2];
    ASSERT(a.size() == 3 && a[0] == w[1] && a[1] == s[2] && a[2] == s[2]) << "adjacency" << a;
    y->set_shape(NanoVector(s[0], s[1], s[2], s[3] * w[1]));
}

void GraphGatherOp::run() {
    auto &shape = x->shape, &given = scores->shape;
    const Sizes z = {(int)shape[0], (int)shape[1], (int)shape[2], (int)shape[3], (int)given[1], 0};
    const float* from = x->ptr<float>();
    const float* first = scores->ptr<float>();
    const float* fixed = adjacency->ptr<float>();
    float* to = y->ptr<float>();
    std::vector<float> weights(first, first + scores->num);
    #pragma omp parallel
    gather_all(from, weights.data(), fixed, to, z);
}

}  // namespace jittor
