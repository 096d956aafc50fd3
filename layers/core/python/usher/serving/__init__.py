"""The read path of the HTTP API: a request becomes an answer of the first level of the fallback chain that has one."""
