"""Where moto's Glue differs from Glue in ways that Usher would notice: optimistic locking."""
