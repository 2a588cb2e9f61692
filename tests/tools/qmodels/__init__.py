"""The small quantised models that make_qmodels.py writes, by what they exercise."""
