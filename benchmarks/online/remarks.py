"""What was seen in the online results, in words; to be read again when they are made anew."""

REMARKS: tuple[str, ...] = ()
