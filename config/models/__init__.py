"""The phone models that every installation has, and how they come into the database.

functions   the functions of softkeys, and what each writer can write of them
ranges      the ranges of volumes and tones, by vendor
seeds       the models
seeding     inserting the missing ones, and correcting those that an ADMIN has not changed
"""

from .functions import FUNCTIONS
from .seeding import seed_models
from .seeds import GENERIC, MODELS, WEBRTC, model_oid

__all__ = ["FUNCTIONS", "GENERIC", "MODELS", "WEBRTC", "model_oid", "seed_models"]
