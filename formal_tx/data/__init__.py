"""Text to train on, with nothing to download: `corpus` is the text, `characters` turns it into token ids."""
