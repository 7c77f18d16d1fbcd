#include "adam_op.h"
#include <cmath>
#include "var.h"

namespace jittor {

AdamOp::AdamOp(Var* parameter, Var* gradient, Var* first, Var* second, float64 rate, float64 decay,
               float64 beta0, float64 beta1, float64 eps)
    : parameter(parameter), gradient(gradient), first(first), second(second), rate(rate),
      decay(decay), beta0(beta0), beta1(beta1), eps(eps) {
    flags.set(NodeFlags::_cpu);
    new_parameter = create_output(nullptr, parameter->dtype());
    new_first = create_output(nullptr, parameter->dtype());
    new_second = create_output(nullptr, parameter->dtype());
}

void AdamOp::infer_shape() {
    for (Var* each : {parameter, gradient, first, second})
        ASSERT(each->dtype() == ns_float32 && each->shape == parameter->shape)
            << "a step of" << each->dtype() << each->shape << "on" << parameter->shape;
    for (Var* each : {new_parameter, new_first, new_second}) each->set_shape(parameter->shape);
}

void AdamOp::run() {
    const float *p = parameter->ptr<float>(), *g = gradient->ptr<float>();
    const float *m = first->ptr<float>(), *v = second->ptr<float>();
    float *to_p = new_parameter->ptr<float>(), *to_m = new_first->ptr<float>();
    float* to_v = new_second->ptr<float>();
    const float by = rate, share = decay, b0 = beta0, b1 = beta1, least = eps;
    const float rest0 = 1 - beta0, rest1 = 1 - beta1;
    #pragma omp parallel for simd if (parameter->num > 32768)
    for (int64 i = 0; i < parameter->num; i++) {
        float slope = g[i] + p[i] * share;
        to_m[i] = b0 * m[i] + rest0 * slope;
        to_v[i] = b1 * v[i] + rest1 * slope * slope;
        to_p[i] = p[i] - by * to_m[i] / (std::sqrt(to_v[i]) + least);
    }
}

}  // namespace jittor
