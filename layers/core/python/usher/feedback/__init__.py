"""The write path of `POST /feedback`: events are stored once, counted in the experiment, and forwarded to the lake."""
