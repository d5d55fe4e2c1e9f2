"""A command line made of dataclasses: each field is a flag, its type says what the flag takes."""
