#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

// What the operators on a graph of joints have in common.
namespace jittor {

static constexpr int most_joints = 32;
static constexpr int lanes = 16;
static constexpr int rows = 8;

struct Sizes {
    int n, t, v, c, s, k;
    int stride() const { return 2 * s * k; }
};

// scores[u] = <query of joint v, key of joint u> over time and channels.
static inline void one_row(const float* qk, const Sizes& z, int s, int v, float* scores) {
    float partial[most_joints][lanes] = {};
    float rest[most_joints] = {};
    const int whole = z.k / lanes * lanes;
    for (int t = 0; t < z.t; t++) {
        const float* frame = qk + (size_t)t * z.v * z.stride();
        const float* query = frame + v * z.stride() + s * z.k;
        for (int u = 0; u < z.v; u++) {
            const float* key = frame + u * z.stride() + (z.s + s) * z.k;
            for (int k = 0; k < whole; k += lanes) {
                #pragma omp simd
                for (int l = 0; l < lanes; l++) partial[u][l] += query[k + l] * key[k + l];
            }
            for (int k = whole; k < z.k; k++) rest[u] += query[k] * key[k];
        }
    }
    const float scale = 1.f / ((float)z.k * z.t);
    for (int u = 0; u < z.v; u++) {
        float sum = rest[u];
        for (int l = 0; l < lanes; l++) sum += partial[u][l];
        scores[u] = sum * scale;
    }
}

// Softmax over the first joint axis of one [V, V], then the fixed adjacency is added.
static inline void normalise(float* weights, const float* adjacency, int joints) {
    for (int u = 0; u < joints; u++) {
        float largest = weights[u], sum = 0;
        for (int v = 1; v < joints; v++) largest = std::max(largest, weights[v * joints + u]);
        for (int v = 0; v < joints; v++) {
            float& w = weights[v * joints + u];
            w = std::exp(w - largest);
            sum += w;
        }
        for (int v = 0; v < joints; v++) {
            float& w = weights[v * joints + u];
            w = w / sum + adjacency[v * joints + u];
        }
    }
}

// y[u, s C + c] = sum_v weights[s][v][u] x[v, c] for one frame; V is known at compile time or 0.
template <int V>
static inline void aggregate(const float* __restrict__ x, const float* __restrict__ weights,
                      float* __restrict__ y, const Sizes& z) {
    const int joints = V ? V : z.v;
    for (int s = 0; s < z.s; s++)
        for (int c = 0; c < z.c; c += lanes)
            for (int u = 0; u < joints; u += rows) {
                float sums[rows][lanes] = {};
                const int width = std::min(lanes, z.c - c), height = std::min(rows, joints - u);
                if (width == lanes && height == rows) {
                    for (int v = 0; v < joints; v++) {
                        const float* w = weights + (s * joints + v) * joints + u;
                        const float* from = x + v * z.c + c;
                        #pragma GCC unroll 8
                        for (int i = 0; i < rows; i++) {
                            #pragma omp simd
                            for (int l = 0; l < lanes; l++) sums[i][l] += w[i] * from[l];
                        }
                    }
                } else {
                    for (int v = 0; v < joints; v++) {
                        const float* w = weights + (s * joints + v) * joints + u;
                        const float* from = x + v * z.c + c;
                        for (int i = 0; i < height; i++)
                            for (int l = 0; l < width; l++) sums[i][l] += w[i] * from[l];
                    }
                }
                for (int i = 0; i < height; i++)
                    for (int l = 0; l < width; l++) y[(u + i) * z.s * z.c + s * z.c + c + l] = sums[i][l];
            }
}

// Of each of n persons: scores [S, V, V] of queries and keys [T, V, 2 S K].
static inline void all_scores(const float* qk, const Sizes& z, float* scores) {
    #pragma omp for collapse(3) schedule(static)
    for (int n = 0; n < z.n; n++)
        for (int s = 0; s < z.s; s++)
            for (int v = 0; v < z.v; v++)
                one_row(qk + (size_t)n * z.t * z.v * z.stride(), z, s, v,
                        scores + ((size_t)(n * z.s + s) * z.v + v) * z.v);
}

// Scores become weights in place, by which x [T, V, C] is gathered to y [T, V, S C].
static inline void gather_all(const float* x, float* scores, const float* adjacency, float* y,
                              const Sizes& z) {
    const size_t square = (size_t)z.v * z.v, frame = (size_t)z.v * z.c;
    #pragma omp for collapse(2) schedule(static)
    for (int n = 0; n < z.n; n++)
        for (int s = 0; s < z.s; s++)
            normalise(scores + (n * z.s + s) * square, adjacency + s * square, z.v);
    #pragma omp for collapse(2) schedule(static)
    for (int n = 0; n < z.n; n++)
        for (int t = 0; t < z.t; t++) {
            const float* one = x + ((size_t)n * z.t + t) * frame;
            float* out = y + ((size_t)n * z.t + t) * frame * z.s;
            const float* w = scores + n * z.s * square;
            z.v == 16 ? aggregate<16>(one, w, out, z) : aggregate<0>(one, w, out, z);
        }
}

}  // namespace jittor
