#include <Python.h>
#include "sync_unlocked.h"

namespace jittor {

namespace {
// Python's global lock is given up in here, also where an operator fails.
struct Unlocked {
    PyThreadState* state = PyEval_SaveThread();
    ~Unlocked() { PyEval_RestoreThread(state); }
};
}  // namespace

void sync_unlocked(const vector<VarHolder*>& vars) {
    Unlocked until_computed;
    sync(vars, true);
}

}  // namespace jittor
