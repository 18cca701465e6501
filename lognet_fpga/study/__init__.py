"""The simulations of Lee et al., ICASSP 2017, on any model: what quantizing its weights and activations costs.

Apart from the deployment's flow, as `cost` is.  See `study.run_study`.
"""
