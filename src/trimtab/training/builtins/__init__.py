"""The hooks, faults, instruments, optimisers and schedules that ship."""
