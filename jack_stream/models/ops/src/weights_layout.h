#pragma once
#include "common.h"

namespace jittor {

// Names the layout that a convolution wants its weights in for an input of these dims
// (N, C, spatial...), so that one packed copy serves all shapes that agree on it.
// @pyjt(weights_layout)
string weights_layout(const string& spec, const string& input);

}  // namespace jittor
