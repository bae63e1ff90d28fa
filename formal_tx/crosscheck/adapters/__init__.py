"""Adapters: what the laws have to know of a model, whoever wrote it and in whichever framework."""

from .models import AttentionModel, ContextModel, Model, SequenceModel
from .parts import GenerationModel, LookupModel, NormalizationModel, TrainingModel, UnembeddingModel

__all__ = [
    "AttentionModel",
    "ContextModel",
    "GenerationModel",
    "LookupModel",
    "Model",
    "NormalizationModel",
    "SequenceModel",
    "TrainingModel",
    "UnembeddingModel",
]
