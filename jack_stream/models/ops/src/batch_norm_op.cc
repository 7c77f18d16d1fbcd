#include "batch_norm_op.h"
#include <cmath>
#include "row_blocks.h"
#include "var.h"

namespace jittor {

BatchNormOp::BatchNormOp(Var* x, Var* weight, Var* bias, float64 eps, int relu)
    : BatchNormOp(x, weight, bias, nullptr, eps, relu) {}

BatchNormOp::BatchNormOp(Var* x, Var* weight, Var* bias, Var* residual, float64 eps, int relu)
    : x(x), weight(weight), bias(bias), residual(residual), eps(eps), relu(relu) {
    flags.set(NodeFlags::_cpu);
    y = create_output(nullptr, x->dtype());
    mean = create_output(nullptr, x->dtype());
    variance = create_output(nullptr, x->dtype());
}

void BatchNormOp::infer_shape() {
    for (Var* each : {x, weight, bias})
        ASSERT(each->dtype() == ns_float32) << "batch normalisation of" << each->dtype();
    ASSERT(x->shape.size() >= 2) << "batch normalisation of" << x->shape;
    int64 channels = x->shape[x->shape.size() - 1];
    ASSERT(weight->num == channels && bias->num == channels)
        << "batch normalisation of" << x->shape << "with" << weight->shape << bias->shape;
    if (residual)
        ASSERT(residual->dtype() == ns_float32 && residual->shape == x->shape)
            << "the residual must have the input's shape" << x->shape;
    y->set_shape(x->shape);
    mean->set_shape({channels});
    variance->set_shape({channels});
}

// Each block's means and sums of squares about its own mean, which do not lose digits where the mean
// is large; joined as Chan, Golub and LeVeque do (1979).
static void moments(const float* x, const RowBlocks& blocks, float* mean, float* variance) {
    int64 channels = blocks.channels;
    std::vector<float> means(blocks.count * channels), squares(blocks.count * channels);
    #pragma omp parallel for
    for (int64 block = 0; block < blocks.count; block++)
        by_lanes(channels, [&](int64 c, auto lanes) {
            typename decltype(lanes)::Value mean = {}, square = {};
            int64 begin = blocks.begin(block), end = blocks.end(block);
            for (int64 row = begin; row < end; row++) mean += lanes.load(x + row * channels + c);
            mean /= (float)(end - begin);
            for (int64 row = begin; row < end; row++) {
                auto centred = lanes.load(x + row * channels + c) - mean;
                square += centred * centred;
            }
            lanes.store(mean, &means[block * channels + c]);
            lanes.store(square, &squares[block * channels + c]);
        });
    for (int64 c = 0; c < channels; c++) {
        float64 centre = 0, spread = 0, seen = 0;
        for (int64 block = 0; block < blocks.count; block++) {
            float64 own = blocks.end(block) - blocks.begin(block), all = seen + own;
            float64 apart = means[block * channels + c] - centre;
            centre += apart * own / all;
            spread += squares[block * channels + c] + apart * apart * seen * own / all;
            seen = all;
        }
        mean[c] = centre;
        variance[c] = spread / blocks.rows;
    }
}

template <bool residual, bool relu>
static void normalise(const float* x, const float* more, const RowBlocks& blocks, const float* mean,
                      const float* scale, const float* bias, float* y) {
    int64 channels = blocks.channels;
    #pragma omp parallel for
    for (int64 block = 0; block < blocks.count; block++)
        by_lanes(channels, [&](int64 c, auto lanes) {
            auto centre = lanes.load(mean + c), scales = lanes.load(scale + c);
            auto shifts = lanes.load(bias + c);
            for (int64 row = blocks.begin(block); row < blocks.end(block); row++) {
                int64 at = row * channels + c;
                auto value = (lanes.load(x + at) - centre) * scales + shifts;
                if (residual) value += lanes.load(more + at);
                // A maximum would make 0 of what is not a number, and hide that training diverged.
                lanes.store(relu ? (value + (value < 0 ? -value : value)) / 2 : value, y + at);
            }
        });
}

void BatchNormOp::run() {
    int64 channels = mean->num;
    RowBlocks blocks(x->num / channels, channels);
    moments(x->ptr<float>(), blocks, mean->ptr<float>(), variance->ptr<float>());
    std::vector<float> scales(channels);
    for (int64 c = 0; c < channels; c++)
        scales[c] = weight->ptr<float>()[c] / std::sqrt(variance->ptr<float>()[c] + eps);
    const float* more = residual ? residual->ptr<float>() : nullptr;
    auto apply = more ? (relu ? normalise<true, true> : normalise<true, false>)
                      : (relu ? normalise<false, true> : normalise<false, false>);
    apply(x->ptr<float>(), more, blocks, mean->ptr<float>(), scales.data(), bias->ptr<float>(),
          y->ptr<float>());
}

}  // namespace jittor
