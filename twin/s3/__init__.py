"""Where moto's S3 differs from S3 in ways that Usher would notice: events, and bodies of a form's content type."""
