"""One module for each interface that models are reached by."""
