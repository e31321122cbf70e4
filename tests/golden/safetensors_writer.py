"""The smallest writer of safetensors files, so that the scripts beside it need nothing but NumPy for that."""
import json
import struct

import numpy as np

TYPE_NAMES = {np.dtype(np.float32): "F32", np.dtype(np.int32): "I32"}


def write_safetensors(path, tensors, metadata):
    """8 bytes of header length, a JSON header padded with blanks to 8 bytes, the tensors' bytes by sorted name."""
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        end = offset + array.nbytes
        header[name] = {"dtype": TYPE_NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        blobs.append(array.tobytes())
        offset = end
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
