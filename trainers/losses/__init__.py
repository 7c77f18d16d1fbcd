"""The losses of the methods, on Jittor Vars."""
