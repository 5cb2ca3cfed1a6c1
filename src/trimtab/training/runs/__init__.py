"""Training runs in folders: starting, resuming, forking, replaying and sampling them."""
