"""The monthly bill of a deployment: what each part uses, multiplied by the price list."""
