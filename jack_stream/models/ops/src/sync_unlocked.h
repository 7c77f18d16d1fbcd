#pragma once
#include "common.h"
#include "var_holder.h"

namespace jittor {

// Computes these Vars like Jittor's sync, and lets Python's other threads run meanwhile. They must
// neither use Jittor nor drop a Var: see jack_stream/models/unlocked.py.
// @pyjt(sync_unlocked)
void sync_unlocked(const vector<VarHolder*>& vars);

}  // namespace jittor
