#include "graph_scores_op.h"
#include "graph_joints.h"
#include "var.h"

namespace jittor {

GraphScoresOp::GraphScoresOp(Var* queries_keys, int subsets)
    : queries_keys(queries_keys), subsets(subsets) {
    flags.set(NodeFlags::_cpu);
    scores = create_output(nullptr, queries_keys->dtype());
}

void GraphScoresOp::infer_shape() {
    ASSERT(queries_keys->dtype() == ns_float32) << "graph scores of" << queries_keys->dtype();
    auto& t = queries_keys->shape;
    ASSERT(t.size() == 4 && t[2] <= most_joints && t[3] % (2 * subsets) == 0)
        << "queries and keys of" << subsets << "subsets in" << t;
    scores->set_shape(NanoVector(t[0], subsets, t[2], t[2]));
}

void GraphScoresOp::run() {
    auto& shape = queries_keys->shape;
    const Sizes z = {(int)shape[0], (int)shape[1], (int)shape[2], 0, subsets,
                     (int)shape[3] / (2 * subsets)};
    const float* from = queries_keys->ptr<float>();
    float* to = scores->ptr<float>();
    #pragma omp parallel
    all_scores(from, z, to);
}

}  // namespace jittor
