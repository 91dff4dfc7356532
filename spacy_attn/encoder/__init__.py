"""Contextual vectors of spaCy tokens, and attention written out.

| ``huggingface``        the encoder: texts and tokens in, vectors out
| ``windows``, ``align``, ``batching``   long texts cut, wordpieces given to tokens, rows batched
| ``packed``, ``padded``   two forward passes: BERT without padding; any encoder
| ``rows``, ``linear``, ``attention``   what these are made of, each in the ways that there are
| ``tuning``             which way is the fastest here: timed once, remembered (``measured``)
| ``precision``          in which arithmetic: what "auto" means here
| ``int8``, ``calibrate``   products of 8-bit integers, and the scales that they need
| ``checkpoint``, ``loading``   an encoder read from its folder, with the change of a sense model
| ``device``, ``processor``, ``memory``   where it runs, what that can do, what is given back
| ``single_precision``   new tensors are float32 in a thread that trains
| ``inspected``, ``attention_map``   which token looks at which, in Hugging Face's own model
| ``self_attention``     the layer, written out
| ``static_network``     that layer over static vectors: the method ``self_attention``
| ``encoder_decoder``    with cross-attention; ``lemmatizer`` writes lemmas with it
"""
