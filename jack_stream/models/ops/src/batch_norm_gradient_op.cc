#include "batch_norm_gradient_op.h"
#include <cmath>
#include "row_blocks.h"
#include "var.h"

namespace jittor {

BatchNormGradientOp::BatchNormGradientOp(
    Var* gradient, Var* x, Var* y, Var* weight, Var* mean, Var* variance, float64 eps, int relu,
    int residual)
    : gradient(gradient), x(x), y(y), weight(weight), mean(mean), variance(variance),
      passed(nullptr), eps(eps), relu(relu), residual(residual) {
    flags.set(NodeFlags::_cpu);
    x_gradient = create_output(nullptr, x->dtype());
    weight_gradient = create_output(nullptr, x->dtype());
    bias_gradient = create_output(nullptr, x->dtype());
    if (relu && residual) passed = create_output(nullptr, x->dtype());
}

void BatchNormGradientOp::infer_shape() {
    ASSERT(gradient->dtype() == ns_float32 && gradient->shape == x->shape)
        << "the gradient must have the output's shape" << x->shape;
    x_gradient->set_shape(x->shape);
    weight_gradient->set_shape(weight->shape);
    bias_gradient->set_shape(weight->shape);
    if (passed) passed->set_shape(x->shape);
}

// The gradient behind the ReLU: where that let nothing through, none comes back.
template <bool relu, class Lanes>
static typename Lanes::Value behind(const float* gradient, const float* y, Lanes lanes) {
    auto value = lanes.load(gradient);
    return relu ? (lanes.load(y) > 0 ? value : value * 0) : value;
}

template <bool relu>
static void add_up(const float* g, const float* x, const float* y, const float* mean,
                   const RowBlocks& blocks, float64* sum, float64* product) {
    int64 channels = blocks.channels;
    std::vector<float> sums(blocks.count * channels), products(blocks.count * channels);
    #pragma omp parallel for
    for (int64 block = 0; block < blocks.count; block++)
        by_lanes(channels, [&](int64 c, auto lanes) {
            typename decltype(lanes)::Value own = {}, with_x = {}, centre = lanes.load(mean + c);
            for (int64 row = blocks.begin(block); row < blocks.end(block); row++) {
                int64 at = row * channels + c;
                auto back = behind<relu>(g + at, y + at, lanes);
                own += back;
                with_x += back * (lanes.load(x + at) - centre);
            }
            lanes.store(own, &sums[block * channels + c]);
            lanes.store(with_x, &products[block * channels + c]);
        });
    for (int64 block = 0; block < blocks.count; block++)
        for (int64 c = 0; c < channels; c++) {
            sum[c] += sums[block * channels + c];
            product[c] += products[block * channels + c];
        }
}

template <bool relu, bool keep>
static void apply(const float* g, const float* x, const float* y, const RowBlocks& blocks,
                  const float* mean, const float* scale, const float* slope, const float* level,
                  float* to, float* passed) {
    int64 channels = blocks.channels;
    #pragma omp parallel for
    for (int64 block = 0; block < blocks.count; block++)
        by_lanes(channels, [&](int64 c, auto lanes) {
            auto centre = lanes.load(mean + c), scales = lanes.load(scale + c);
            auto slopes = lanes.load(slope + c), levels = lanes.load(level + c);
            for (int64 row = blocks.begin(block); row < blocks.end(block); row++) {
                int64 at = row * channels + c;
                auto back = behind<relu>(g + at, y + at, lanes);
                if (keep) lanes.store(back, passed + at);
                auto apart = lanes.load(x + at) - centre;
                lanes.store((back - levels - apart * slopes) * scales, to + at);
            }
        });
}

// With n rows, s = weight / deviation and g the gradient behind the ReLU:
// dx = s (g - mean(g) - (x - mean) mean(g (x - mean)) / variance).
void BatchNormGradientOp::run() {
    int64 channels = mean->num;
    RowBlocks blocks(x->num / channels, channels);
    std::vector<float64> sum(channels), product(channels);
    const float *g = gradient->ptr<float>(), *from = x->ptr<float>(), *out = y->ptr<float>();
    const float* centre = mean->ptr<float>();
    (relu ? add_up<true> : add_up<false>)(g, from, out, centre, blocks, sum.data(), product.data());
    std::vector<float> scale(channels), slope(channels), level(channels);
    for (int64 c = 0; c < channels; c++) {
        float64 inverse = 1 / std::sqrt(variance->ptr<float>()[c] + eps);
        scale[c] = weight->ptr<float>()[c] * inverse;
        slope[c] = product[c] * inverse * inverse / blocks.rows;
        level[c] = sum[c] / blocks.rows;
        weight_gradient->ptr<float>()[c] = product[c] * inverse;
        bias_gradient->ptr<float>()[c] = sum[c];
    }
    auto back = passed ? apply<true, true> : relu ? apply<true, false> : apply<false, false>;
    back(g, from, out, blocks, centre, scale.data(), slope.data(), level.data(),
         x_gradient->ptr<float>(), passed ? passed->ptr<float>() : nullptr);
}

}  // namespace jittor
