"""Profiles, genotypes and training regimes as JSON, installed as package data of ``soars_nnunet.plans``."""
