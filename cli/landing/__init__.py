"""Files on their way into the landing bucket: recognised, sent, and followed until the lake holds their rows."""
