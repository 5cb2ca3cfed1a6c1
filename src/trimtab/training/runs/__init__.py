"""Training runs in folders: started, resumed, forked, replayed, sampled."""
