"""What the verb transcribe does with lists and with streams."""
