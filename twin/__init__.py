"""The twin: the real template on a laptop. moto answers AWS's APIs; these modules make real what moto only mocks."""
