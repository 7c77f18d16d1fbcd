// Loops over the rows of [rows, channels] whose sums are the same with any number of threads.
#pragma once
#include <algorithm>
#include <cstring>
#include "common.h"

namespace jittor {

// Rows are taken in blocks that fit into the nearest cache. Their sums are float32, the sum of
// these is float64: one running sum in float32 over a large map would lose two digits.
struct RowBlocks {
    int64 rows, channels, size, count;

    RowBlocks(int64 rows, int64 channels)
        : rows(rows), channels(channels), size(std::max<int64>(1, 4096 / channels)),
          count((rows + size - 1) / size) {}

    int64 begin(int64 block) const { return block * size; }
    int64 end(int64 block) const { return std::min(rows, (block + 1) * size); }
};

// As many channels as are worked on at once: a vector of the compiler's.
template <int count>
struct Lanes {
    typedef float Value __attribute__((vector_size(count * sizeof(float))));

    static Value load(const float* from) {
        Value value;
        memcpy(&value, from, sizeof(value));
        return value;
    }

    static void store(const Value& value, float* to) { memcpy(to, &value, sizeof(value)); }
};

// Calls work(channel, Lanes) for all channels, from this one on.
template <class Work>
inline void by_lanes(int64 channels, const Work& work) {
    int64 c = 0;
    for (; c + 16 <= channels; c += 16) work(c, Lanes<16>());
    for (; c + 4 <= channels; c += 4) work(c, Lanes<4>());
    for (; c < channels; c++) work(c, Lanes<1>());
}

}  // namespace jittor
