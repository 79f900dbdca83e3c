"""HTML: extract its content, validate it, apply edits to it. Pure: bytes in, values out."""
