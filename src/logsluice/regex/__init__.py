"""One regular expression on two engines, bounded in time, with a prefilter of literals before it."""
