"""Step Functions in the twin: moto's interpreter of the Amazon States Language, its gaps to AWS closed.

What is replaced, and why, stands in `twin.moto_patches`.
"""
