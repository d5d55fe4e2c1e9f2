"""The flags of each verb: a dataclass in the file of the verb's name; `shared` has what several verbs have.

    --format of transcribe      the field `format` of TranscribeFlags, in transcribe.py
    --beam-width                the field `beam_width` of DecodingFlags, in decoding.py
    --hidden-size of train      a field of EncoderConfig: TrainFlags names the configurations it takes in
    --height-px of `ocr train`  a field of the modality's own SignalConfig

`common.command_line` makes flags of the fields and help of the strings after them.
"""
