"""People for the demo: they see answers as a person does, choose by tastes fitted outside Usher, and know no slot."""
