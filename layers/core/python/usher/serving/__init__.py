"""The read path of the HTTP API: the first level of the fallback chain that can answer a request does."""
