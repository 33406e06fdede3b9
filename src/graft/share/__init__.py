"""`graft share`: give a team what was computed, and prove that a fresh clone computes nothing."""
