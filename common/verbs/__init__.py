"""What the commands do, one file a verb: `arguments(modality)` is what tyro makes flags of, `run` does it."""
