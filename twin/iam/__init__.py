"""Where moto's IAM differs from IAM in ways that Usher would notice: AWS's own managed policies."""
