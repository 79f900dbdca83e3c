"""What the service makes of a picture: smaller versions, a placeholder, a vector, and its nearest neighbours.

    bytes -> images (in a process of its own) -> embeddings -> similar

The room knows no database and no web framework: bytes and values in, values out.
"""
