"""Step Functions in the twin: moto's interpreter of the Amazon States Language, its gaps to AWS closed.

`twin.moto_patches` lists what is replaced and why.
"""
